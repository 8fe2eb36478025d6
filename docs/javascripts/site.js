// What the theme leaves out for people who use no mouse or no screen; also after it adds parts.
function name_parts() {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document
    .querySelectorAll(".md-code__nav")
    .forEach((bar, place) => bar.setAttribute("aria-label", `Copy block ${place + 1}`));
  document
    .querySelectorAll(".md-typeset__scrollwrap, pre > code")
    .forEach((box) => box.tabIndex === 0 || box.setAttribute("tabindex", "0"));
}
new MutationObserver(name_parts).observe(document.body, { childList: true, subtree: true });
name_parts();
