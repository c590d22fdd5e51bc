// Sends the page's only form on by itself. Not after Back: a person who goes back must not be thrown forward again.
(function () {
  "use strict";
  var entry = performance.getEntriesByType("navigation")[0];
  var form = document.querySelector("form[data-autopost]");
  if (form && !(entry && entry.type === "back_forward")) {
    form.submit();
  }
})();
