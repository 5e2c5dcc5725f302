// The plan of two weeks: its days get dates, its lines boxes to tick. Both are kept in this browser only.
const plan = document.getElementById('the-exam-in-two-weeks');
if (plan) {
  const STORE = 'course-two-weeks';
  const days = [...plan.querySelectorAll('h3')];
  const lines = [...plan.querySelectorAll('section li')];
  let kept = { exam: '', done: [] };
  try {
    kept = { ...kept, ...JSON.parse(localStorage.getItem(STORE) ?? '{}') };
  } catch { /* something else lies there, or nothing may be read: begin anew */ }
  const save = () => {
    try {
      localStorage.setItem(STORE, JSON.stringify(kept));
    } catch { /* nothing may be kept: the ticks last as long as the page */ }
  };

  const input = Object.assign(document.createElement('input'), { type: 'date', value: kept.exam });
  const label = document.createElement('label');
  label.append('Day of the exam ', input);
  const count = document.createElement('span');
  count.setAttribute('aria-live', 'polite');
  const controls = document.createElement('div');
  controls.className = 'plan-controls';
  controls.append(label, count);
  days[0].parentElement.before(controls);

  const dates = days.map((day) => {
    const date = document.createElement('span');
    date.className = 'plan-date';
    day.insertBefore(date, day.querySelector('.headerlink'));
    return date;
  });
  const show = () => {
    const left = Math.round((new Date(`${kept.exam}T12:00`) - new Date().setHours(12, 0, 0, 0)) / 86_400_000);
    // with fewer days than the plan has, the first of these are taken, and the last day of the plan
    const first = [1, 2, 6, 10, 3, 5, 13, 12, 7, 4, 11, 9, 8].slice(0, Math.max(0, left - 1));
    const taken = left < days.length ? [...first, days.length].sort((a, b) => a - b) : days.map((_, n) => n + 1);
    dates.forEach((date, n) => {
      const at = taken.indexOf(n + 1);
      const day = new Date(`${kept.exam}T12:00`);
      day.setDate(day.getDate() - taken.length + at);
      const dated = ` (${day.toLocaleDateString('en-GB', { weekday: 'short', day: 'numeric', month: 'long' })})`;
      date.textContent = Number.isNaN(left) || left < 1 ? '' : at < 0 ? ' (left out)' : dated;
    });
    const late = left < 0 ? 'That day is past. ' : left === 0 ? 'The exam is today. ' : left < days.length ? `Days left: ${left}, for as many days of the plan. ` : left > days.length ? `Days until day 1: ${left - days.length}. Read from the paths below until then. ` : '';
    count.textContent = `${late}${kept.done.length} of ${lines.length} done`;
  };

  for (const line of lines) {
    // a line keeps its tick when its minutes change
    const day = line.closest('section').querySelector('h3').firstChild.textContent;
    const name = `${day}: ${line.textContent.replace(/, \d+ minutes/, '').trim()}`;
    const box = Object.assign(document.createElement('input'), { type: 'checkbox', checked: kept.done.includes(name) });
    box.setAttribute('aria-label', `Done: ${name}`);
    box.addEventListener('change', () => {
      kept.done = kept.done.filter((one) => one !== name).concat(box.checked ? name : []);
      save();
      show();
    });
    (line.querySelector('p') ?? line).prepend(box);
  }
  kept.done = kept.done.filter((name) => lines.some((line) => line.querySelector('input').getAttribute('aria-label') === `Done: ${name}`));
  input.addEventListener('change', () => { kept.exam = input.value; save(); show(); });
  show();
}
