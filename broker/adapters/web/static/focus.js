// Takes the keyboard and the screen reader to what went wrong; without it the page is the same, read from the top.
var summary = document.querySelector("[data-focus]");
if (summary) { summary.focus(); }
