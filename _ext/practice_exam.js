// The practice exam: draws questions from the list on the page, keeps answers in this browser only.
const place = document.getElementById('exam-desk');
if (place) {
  const STORE = 'course-practice-exam';
  const SURE = [['sure', 'Sure'], ['think', 'I think so'], ['guess', 'A guess']];
  const list = [...document.querySelectorAll('.question[data-id]')];
  // practice_exam.html?chapters=150,151 draws from these only; the paths lead there
  const asked = new URLSearchParams(location.search); // ?which=wrong presets what was missed
  const only = asked.get('chapters')?.split(',');
  const pool = only ? list.filter((node) => only.includes(node.dataset.id.split('-')[0])) : list;
  const byId = new Map(list.map((node) => [node.dataset.id, node]));
  const titles = new Map(list.map((node) => [node.dataset.skill, node.closest('section').querySelector('h2').firstChild.textContent]));

  // ------------------------------------------------------------------ what is kept

  const blank = () => ({ history: {}, exam: null });
  let kept = blank();
  let lasting = true;
  try {
    kept = { ...blank(), ...JSON.parse(localStorage.getItem(STORE) ?? '{}') };
  } catch { /* something else lies there, or nothing may be read: begin anew */ }
  const save = () => {
    try {
      localStorage.setItem(STORE, JSON.stringify(kept));
    } catch {
      lasting = false;
    }
  };
  if (kept.exam && !kept.exam.ids.every((id) => byId.has(id))) kept.exam = null; // the questions have changed

  // ------------------------------------------------------------------ small parts

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, '');
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  const button = (text, onclick, more = {}) => make('button', { type: 'button', onclick, ...more }, text);
  const show = (...children) => {
    place.replaceChildren(...children);
    const heading = place.querySelector('h2');
    heading.tabIndex = -1;
    heading.focus();
    heading.scrollIntoView({ block: 'start' });
    globalThis.MathJax?.typesetPromise?.([place]); // what was copied before it was typeset
  };
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
  const letters = (node) => node.dataset.key.split('');
  const right = (id, chosen) => [...chosen].sort().join('') === letters(byId.get(id)).sort().join('');
  const answered = (exam, id) => (exam.answers[id] ?? []).length > 0;
  const percent = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : '–');
  const readers = (id) => byId.get(id).querySelector(':scope > p:last-child').cloneNode(true);
  const running = (on) => document.body.classList.toggle('exam-runs', on);

  // ------------------------------------------------------------------ choosing

  const choose = () => {
    running(false);
    const counts = new Map();
    for (const node of pool) counts.set(node.dataset.skill, (counts.get(node.dataset.skill) ?? 0) + 1);
    const number = make('input', { type: 'number', name: 'number', min: 1, max: pool.length, value: Math.min(10, pool.length), required: true });
    const minutes = make('input', { type: 'number', name: 'minutes', min: 0, max: 600, value: 0, required: true });
    const which = make('select', { name: 'which' },
      make('option', { value: 'all' }, 'any'),
      make('option', { value: 'new' }, 'that I have not answered yet'),
      make('option', { value: 'wrong' }, 'that I last answered wrongly'),
      make('option', { value: 'unsure' }, 'that I got right without being sure'));
    which.value = asked.get('which') ?? 'all';
    const when = make('select', { name: 'when' },
      make('option', { value: 'each' }, 'after each question'),
      make('option', { value: 'end' }, 'at the end'));
    const skills = [...counts].map(([skill, count]) => make('label', { class: 'exam-skill' },
      make('input', { type: 'checkbox', name: 'skill', value: skill, checked: true }), ` ${titles.get(skill)} (${count})`));
    const every = (on) => { for (const box of form.querySelectorAll('[name=skill]')) box.checked = on; };
    const told = make('p', { role: 'status', class: 'exam-told' });
    const format = (text, count, time) => button(text, () => {
      number.value = Math.min(count, pool.length); minutes.value = time; when.value = 'end'; which.value = 'all';
      every(true);
      for (const box of form.querySelectorAll('[value=none]')) box.checked = false;
      begin(draw(wanted(form), count), time, 'end');
    });
    const formats = [format('The beta until early 2027: 85 questions, 170 minutes', 85, 170), ' ', format('The standard form: 65 questions, 130 minutes', 65, 130)];
    const form = make('form', { class: 'exam-form', onsubmit: (event) => { event.preventDefault(); start(form, told); } },
      make('p', {}, ...(only ? [`Only questions of ${only.join(', ')}. `, make('a', { href: location.pathname }, 'All questions')] : formats)),
      make('p', {}, make('label', {}, 'Questions ', number), ' ', make('label', {}, 'Only those ', which)),
      make('p', {}, make('label', {}, 'Minutes (0: no timer) ', minutes), ' ', make('label', {}, 'Explanations ', when)),
      make('fieldset', {}, make('legend', {}, 'Skills'), make('p', {}, button('All', () => every(true)), ' ', button('None', () => every(false))), ...skills),
      make('p', {}, make('button', { type: 'submit', class: 'exam-main' }, 'Start')), told);
    const seen = Object.values(kept.history);
    const past = make('p', {}, seen.length
      ? `Answered so far: ${seen.length} of ${list.length} questions, ${seen.filter((one) => one.right).length} of them right the last time. `
      : 'Nothing answered yet.');
    if (seen.length) past.append(button('Forget my answers', () => { kept = blank(); save(); choose(); }));
    const parts = [make('h2', {}, 'Your exam'), past, form];
    if (kept.exam?.over) past.append(' ', button('Last result', result));
    if (!lasting) parts.splice(1, 0, make('p', { class: 'exam-told' }, 'This browser keeps nothing for this page: a reload will begin anew.'));
    place.replaceChildren(...parts);
  };

  const draw = (ids, count) => {
    const left = [...ids];
    const drawn = [];
    while (left.length && drawn.length < count) drawn.push(...left.splice(Math.floor(Math.random() * left.length), 1));
    return drawn;
  };

  const wanted = (form) => {
    const data = new FormData(form);
    const skills = data.getAll('skill');
    const past = (id) => kept.history[id];
    const fits = { all: () => true, new: (id) => !past(id), wrong: (id) => past(id) && !past(id).right, unsure: (id) => past(id)?.right && past(id).sure !== 'sure' }[data.get('which')];
    return pool.filter((node) => skills.includes(node.dataset.skill)).map((node) => node.dataset.id).filter(fits);
  };

  const start = (form, told) => {
    const data = new FormData(form);
    const ids = wanted(form);
    if (!ids.length) {
      told.textContent = `There is no such question${only ? ` in ${only.join(', ')}` : ''}: choose other skills, or any question.`;
      return;
    }
    begin(draw(ids, Number(data.get('number'))), Number(data.get('minutes')), data.get('when'));
  };

  const begin = (ids, minutes, when) => {
    kept.exam = { ids, minutes, when, at: 0, answers: {}, sure: {}, flags: {}, told: {}, seconds: 0, paused: false, over: false };
    save();
    ask();
  };

  // ------------------------------------------------------------------ asking

  let display = null;
  let message = null;
  setInterval(() => {
    const exam = kept.exam;
    if (!exam || exam.over || exam.paused || !display || document.hidden) return;
    exam.seconds += 1;
    if (exam.seconds % 5 === 0) save();
    display.textContent = time(exam);
    const left = exam.minutes * 60 - exam.seconds;
    if (exam.minutes && left === 300) message.textContent = 'Five minutes are left.';
    if (exam.minutes && left <= 0) finish();
  }, 1000);
  const time = (exam) => (exam.minutes ? `${clock(Math.max(0, exam.minutes * 60 - exam.seconds))} left` : clock(exam.seconds));

  const bar = (exam) => {
    display = make('span', { class: 'exam-time' }, time(exam));
    message = make('span', { role: 'status' });
    const pause = button(exam.paused ? 'Go on' : 'Pause', () => { exam.paused = !exam.paused; save(); if (exam.paused) rest(); else ask(); });
    return make('div', { class: 'exam-bar' }, display, pause, button('Overview', overview), button('Finish', () => overview(true)), message);
  };

  const rest = () => show(make('h2', {}, 'Paused'), bar(kept.exam), make('p', {}, 'The clock stands. Your answers are kept.'));

  const ask = () => {
    running(true);
    const exam = kept.exam;
    if (exam.paused) { rest(); return; }
    const id = exam.ids[exam.at];
    const node = byId.get(id);
    const details = [...node.querySelectorAll(':scope > details')];
    const stem = [...node.children].slice(0, [...node.children].indexOf(details[0])).map((one) => one.cloneNode(true));
    const strong = stem[0].querySelector('strong');
    if (strong) strong.remove(); // "Chapter 151, question 3." would name the chapter
    const several = letters(node).length > 1;
    const locked = Boolean(exam.told[id]);
    const chosen = exam.answers[id] ?? [];
    const options = details.map((one) => {
      const letter = one.querySelector('summary').textContent.trim()[0];
      const input = make('input', {
        type: several ? 'checkbox' : 'radio', name: 'option', value: letter, checked: chosen.includes(letter), disabled: locked,
        onchange: () => {
          exam.answers[id] = [...form.querySelectorAll('[name=option]:checked')].map((box) => box.value);
          save();
        },
      });
      const label = make('label', { class: 'exam-option' }, input, make('span', {}, ...one.querySelector('summary').cloneNode(true).childNodes));
      return locked ? make('div', { class: letters(node).includes(letter) ? 'exam-right' : 'exam-wrong' }, label, ...explained(one)) : label;
    });
    const rating = make('fieldset', { class: 'exam-sure' }, make('legend', {}, 'How sure are you?'), ...SURE.map(([value, text]) => make('label', {},
      make('input', { type: 'radio', name: 'sure', value, checked: exam.sure[id] === value, disabled: locked, onchange: () => { exam.sure[id] = value; save(); } }), ` ${text}`)));
    const flag = button('Flag', () => {
      exam.flags[id] = !exam.flags[id]; save(); flag.setAttribute('aria-pressed', exam.flags[id]);
    }, { 'aria-pressed': String(Boolean(exam.flags[id])) });
    const go = (by) => { exam.at += by; save(); ask(); };
    const told = make('p', { role: 'status', class: 'exam-told' });
    const moves = make('p', { class: 'exam-moves' });
    if (exam.at > 0) moves.append(button('Back', () => go(-1)));
    if (exam.when === 'each' && !locked) {
      moves.append(button('Check', () => {
        const missing = letters(node).length - (exam.answers[id] ?? []).length;
        if (missing > 0 || !exam.sure[id]) {
          told.textContent = missing > 0 ? (several && answered(exam, id) ? 'Choose one more.' : 'Choose an answer first.') : 'Say first how sure you are.';
          return;
        }
        exam.told[id] = true; note(id); save(); ask();
      }, { class: 'exam-main' }));
    }
    if (exam.at < exam.ids.length - 1) moves.append(button('Next', () => go(1), { class: exam.when === 'end' || locked ? 'exam-main' : '' }));
    else moves.append(button('Overview', () => overview(true), { class: exam.when === 'end' || locked ? 'exam-main' : '' }));
    moves.append(flag);
    const form = make('form', { class: 'exam-question', onsubmit: (event) => event.preventDefault() },
      make('fieldset', {}, make('legend', {}, several ? `Choose ${letters(node).length}` : 'Choose one'), ...options), rating, moves, told);
    const verdict = locked ? [make('p', { class: 'exam-verdict' }, right(id, chosen) ? 'Right.' : `Not right: the key is ${letters(node).join(' and ')}.`), readers(id)] : [];
    show(make('h2', {}, `Question ${exam.at + 1} of ${exam.ids.length}`), bar(exam), ...stem, form, ...verdict);
  };

  const explained = (detail) => [...detail.children].slice(1).map((one) => one.cloneNode(true));

  const note = (id) => {
    const exam = kept.exam;
    kept.history[id] = { right: right(id, exam.answers[id] ?? []), sure: exam.sure[id] ?? null };
  };

  const overview = (ending = false) => {
    const exam = kept.exam;
    const items = exam.ids.map((id, at) => {
      const state = [answered(exam, id) ? 'answered' : 'open', exam.sure[id] ? '' : 'not rated', exam.flags[id] ? 'flagged' : ''].filter(Boolean).join(', ');
      return make('li', {}, button(`Question ${at + 1}: ${state}`, () => { exam.at = at; exam.paused = false; save(); ask(); }));
    });
    const open = exam.ids.filter((id) => !answered(exam, id)).length;
    show(make('h2', {}, 'Overview'), bar(exam),
      make('p', {}, `${exam.ids.length - open} of ${exam.ids.length} answered. An open question counts as wrong; a guess costs nothing.`),
      make('ol', { class: 'exam-overview' }, ...items),
      make('p', {}, button('Back to the question', () => { exam.paused = false; ask(); }), ' ', button('Finish and see the result', finish, ending === true ? { class: 'exam-main' } : {})));
  };

  // ------------------------------------------------------------------ the result

  const finish = () => {
    const exam = kept.exam;
    exam.over = true;
    for (const id of exam.ids) if (answered(exam, id)) note(id); // what is open counts as wrong here and stays new
    save();
    result();
  };

  const table = (heads, rows, caption) => make('table', { class: 'table' }, make('caption', {}, caption),
    make('thead', {}, make('tr', {}, ...heads.map((head) => make('th', { scope: 'col' }, head)))),
    make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((cell) => make('td', {}, cell))))));

  // the share of right answers at each rating, with the range that so few answers leave (Wilson's interval, 95 %)
  const wilson = (k, n, z = 1.96) => {
    const middle = (k + z * z / 2) / (n + z * z);
    const half = (z / (n + z * z)) * Math.sqrt(k * (n - k) / n + z * z / 4);
    return [middle - half, middle + half];
  };
  const curve = (rows) => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const draw = (tag, attributes, text) => {
      const part = document.createElementNS(svg.namespaceURI, tag);
      for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
      if (text) part.textContent = text;
      svg.append(part);
    };
    for (const [name, value] of Object.entries({ viewBox: '0 0 320 190', role: 'img', class: 'exam-curve' })) svg.setAttribute(name, value);
    svg.setAttribute('aria-label', rows.map(([name, k, n]) => `${name}: ${k} of ${n} right`).join('; '));
    for (const share of [0, 0.5, 1]) {
      const y = 160 - 140 * share;
      draw('line', { x1: 45, x2: 310, y1: y, y2: y, class: 'exam-grid' });
      draw('text', { x: 40, y: y + 4, 'text-anchor': 'end' }, `${100 * share} %`);
    }
    rows.forEach(([name, k, n], at) => {
      const x = 90 + 85 * at;
      draw('text', { x, y: 182, 'text-anchor': 'middle' }, name);
      if (!n) return;
      const [low, high] = wilson(k, n);
      draw('line', { x1: x, x2: x, y1: 160 - 140 * low, y2: 160 - 140 * high, class: 'exam-range' });
      draw('circle', { cx: x, cy: 160 - (140 * k) / n, r: 5, class: 'exam-point' });
    });
    return svg;
  };

  const result = () => {
    running(true);
    display = null;
    const exam = kept.exam;
    const good = exam.ids.filter((id) => right(id, exam.answers[id] ?? []));
    const bad = exam.ids.filter((id) => !good.includes(id));
    const bySkill = [...titles].map(([skill, title]) => {
      const mine = exam.ids.filter((id) => byId.get(id).dataset.skill === skill);
      const sections = new Map(mine.filter((id) => bad.includes(id)).map((id) => { const link = readers(id).querySelector('a'); return [link.href, link]; }));
      for (const link of sections.values()) link.textContent = link.textContent.replace(/^Read: /, '');
      const links = make('span', {}, ...[...sections.values()].flatMap((link, at) => (at ? [', ', link] : [link])));
      return [title, `${mine.filter((id) => good.includes(id)).length} of ${mine.length}`, links, mine.length];
    }).filter((row) => row[3]).map((row) => row.slice(0, 3));
    const rated = SURE.map(([value, text]) => {
      const mine = exam.ids.filter((id) => exam.sure[id] === value);
      return [text, mine.filter((id) => good.includes(id)).length, mine.length];
    });
    const shown = (id) => {
      const node = byId.get(id).cloneNode(true);
      const chosen = exam.answers[id] ?? [];
      const sure = { sure: ' You were sure.', guess: ' It was a guess.' }[exam.sure[id]] ?? '';
      node.prepend(make('p', {}, chosen.length ? `You chose ${chosen.join(' and ')}.` : 'You chose nothing.', sure));
      for (const one of node.querySelectorAll('details')) {
        const letter = one.querySelector('summary').textContent.trim()[0];
        one.open = chosen.includes(letter) || node.dataset.key.includes(letter);
      }
      return node;
    };
    const lucky = good.filter((id) => exam.sure[id] !== 'sure');
    const safe = good.filter((id) => exam.sure[id] === 'sure');
    const again = bad.length ? [button('Repeat the wrong ones', () => begin(draw(bad, bad.length), 0, exam.when)), ' '] : [];
    const another = () => button('Another exam', () => { kept.exam = null; save(); choose(); place.querySelector('h2').scrollIntoView(); }, { class: 'exam-main' });
    show(make('h2', {}, 'Result'), make('p', {}, another()),
      make('p', { class: 'exam-verdict' }, `${good.length} of ${exam.ids.length} right (${percent(good.length, exam.ids.length)}), in ${clock(exam.seconds)} (minutes and seconds). A question with several answers counts only if all of them are right.`),
      table(['skill', 'right', 'to read again'], bySkill, 'By skill'),
      table(['you said', 'right', 'of', 'share'], rated.map(([text, k, n]) => [text, String(k), String(n), percent(k, n)]), 'How well you knew what you knew'),
      curve(rated),
      make('p', {}, 'The bars are 95 % intervals: with so few answers your true share may lie anywhere in them. "Sure" should be near 100 %; where it is not, read those sections first.'),
      make('p', {}, 'Below, open an option to see why it is right or wrong.'),
      ...(bad.length ? [make('h3', {}, 'Wrong or open'), ...bad.map(shown)] : []),
      ...(lucky.length ? [make('h3', {}, 'Right without being sure'), ...lucky.map(shown)] : []),
      ...(safe.length ? [make('details', {}, make('summary', {}, `Right and sure (${safe.length})`), ...safe.map(shown))] : []),
      make('p', {}, ...again, another()));
  };

  addEventListener('pagehide', save);
  // a path that asks for other questions than those of an exam that is still open lets the reader choose
  const elsewhere = kept.exam && (asked.has('which') || !kept.exam.ids.every((id) => pool.some((node) => node.dataset.id === id)));
  if (!kept.exam || (location.search && kept.exam.over)) choose();
  else if (kept.exam.over) result();
  else if (elsewhere) {
    place.replaceChildren(make('h2', {}, 'An exam is open'),
      make('p', {}, `It has ${kept.exam.ids.length} questions, and its answers are kept.`),
      make('p', {}, button('Go on with it', ask), ' ', button(only ? `Begin one of ${only.join(', ')}` : 'Choose another', () => { kept.exam = null; choose(); })));
  } else ask();
}
