// The page works without this: it adds a copy button, Escape, and the focus of an opened picture.
const close = () => document.querySelector("figure:target .close");
addEventListener("hashchange", () => close()?.focus());
addEventListener("keydown", (event) => {
  if (event.key === "Escape") close()?.click();
});
for (const text of document.querySelectorAll("pre.copied")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  text.before(button);
}
