// Sends the one form of the page, once: coming Back shows the button instead.
addEventListener("pageshow", (event) => {
  if (!event.persisted) document.forms[0].submit();
});
