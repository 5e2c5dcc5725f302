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
    dates.forEach((date, n) => {
      const day = new Date(`${kept.exam}T12:00`);
      day.setDate(day.getDate() - days.length + n);
      date.textContent = Number.isNaN(day.valueOf()) ? '' : ` (${day.toLocaleDateString('en-GB', { weekday: 'short', day: 'numeric', month: 'long' })})`;
    });
    const left = Math.round((new Date(`${kept.exam}T12:00`) - new Date().setHours(12, 0, 0, 0)) / 86_400_000);
    const late = left < 0 ? 'That day is past. ' : left === 0 ? 'The exam is today. ' : left < days.length ? `Days left: ${left}. Take days 1, 2, 3, 5, 6 and 13 first, as far as you get, and day ${days.length} last. ` : '';
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
