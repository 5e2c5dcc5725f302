// What the site adds to its pages in the browser. Without it every frame and every claim is shown.

// A filmstrip shows one of its frames at a time; a range input moves by pointer and by arrow keys.
for (const strip of document.querySelectorAll('.filmstrip')) {
  const frames = [...strip.querySelectorAll('img')];
  const slider = Object.assign(document.createElement('input'), {
    type: 'range', min: 1, max: frames.length, value: 1, className: 'filmstrip-slider',
  });
  const count = document.createElement('span');
  const show = () => {
    frames.forEach((frame, n) => { frame.hidden = n !== slider.value - 1; });
    count.textContent = `${slider.value} of ${frames.length}`;
    slider.setAttribute('aria-valuetext', `${count.textContent}: ${frames[slider.value - 1].alt}`);
  };
  const step = (label, by) => {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: label });
    button.setAttribute('aria-label', by < 0 ? 'Previous frame' : 'Next frame');
    button.addEventListener('click', () => { slider.value = Number(slider.value) + by; show(); });
    return button;
  };
  slider.setAttribute('aria-label', 'Frame');
  slider.addEventListener('input', show);
  const controls = document.createElement('div');
  controls.className = 'filmstrip-controls';
  controls.append(step('‹', -1), slider, step('›', 1), count);
  strip.prepend(controls);
  show();
}

// The ledger is filtered by verdict and by whether it gives an answer for the exam.
const ledger = document.getElementById('the-claims');
if (ledger) {
  const rows = [...ledger.querySelectorAll('tbody tr')];
  const verdict = (row) => row.cells[1].querySelector('strong').textContent.replace(/( when .*)?\.$/, (_, when) => (when ? ' when' : ''));
  const label = (text, control) => {
    const element = document.createElement('label');
    element.append(text, control);
    return element;
  };
  const select = document.createElement('select');
  for (const kind of ['all', 'wrong', 'dated', 'not reproduced here', 'right when', 'right']) {
    select.append(new Option(kind === 'right when' ? 'right when …' : kind, kind));
  }
  const differs = Object.assign(document.createElement('input'), { type: 'checkbox' });
  const count = document.createElement('span');
  count.setAttribute('aria-live', 'polite');
  const filter = () => {
    for (const row of rows) {
      const exam = row.cells[1].textContent.includes('In the exam:');
      row.hidden = (select.value !== 'all' && verdict(row) !== select.value) || (differs.checked && !exam);
    }
    for (const table of ledger.querySelectorAll('table')) {
      const box = table.closest('.pst-scrollable-table-container') ?? table;
      box.hidden = [...table.tBodies[0].rows].every((row) => row.hidden);
      box.previousElementSibling.hidden = box.hidden; // the title of the chapter
    }
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
  };
  const controls = document.createElement('div');
  controls.className = 'ledger-controls';
  controls.append(label('Verdict ', select), label('Only claims with an exam answer ', differs), count);
  ledger.querySelector('.cell').before(controls);
  select.addEventListener('change', filter);
  differs.addEventListener('change', filter);
  filter();
}

// Without a pointer that hovers, the first tap on a term shows what it means, the second follows.
let tapped = null;
document.addEventListener('click', (event) => {
  const term = event.target.closest('a.term');
  if (term && term !== tapped && matchMedia('(hover: none)').matches) event.preventDefault();
  tapped = term;
});

// Escape puts away what a term of the glossary shows, until the pointer or the focus moves on.
document.addEventListener('keydown', (event) => {
  document.documentElement.classList.toggle('terms-quiet', event.key === 'Escape');
});
for (const kind of ['mouseover', 'focusin']) {
  document.addEventListener(kind, (event) => {
    document.documentElement.classList.remove('terms-quiet');
    const term = event.target.closest('a.term');
    if (!term) return;
    // near the lower edge of the window it opens upwards
    const line = term.getBoundingClientRect();
    const above = `${term.parentElement.getBoundingClientRect().bottom - line.top}px`;
    term.style.setProperty('--above', innerHeight - line.bottom < 150 ? above : 'auto');
  });
}

// The glossary is filtered by what its terms and texts contain; × is found as x.
const terms = document.getElementById('glossary');
if (terms) {
  const plain = (text) => text.toLowerCase().replaceAll(' × ', 'x').replaceAll('×', 'x');
  const entries = [...terms.querySelectorAll(':scope > section')].map((section) => [section, plain(section.textContent)]);
  const input = Object.assign(document.createElement('input'), { type: 'search' });
  const label = document.createElement('label');
  label.append('Terms that contain ', input);
  const count = document.createElement('span');
  count.setAttribute('aria-live', 'polite');
  const controls = document.createElement('div');
  controls.className = 'ledger-controls';
  controls.append(label, count);
  entries[0][0].before(controls);
  input.addEventListener('input', () => {
    const wanted = plain(input.value.trim());
    for (const [section, text] of entries) section.hidden = !text.includes(wanted);
    count.textContent = `${entries.filter(([section]) => !section.hidden).length} of ${entries.length}`;
  });
}
