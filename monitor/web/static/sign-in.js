// @ts-check
/** The sign-in page, and that of a new password: sends what was typed, says what went wrong, goes where one came from. */

const form = /** @type {HTMLFormElement} */ (document.getElementById("sign-in"));
const told = /** @type {HTMLElement} */ (document.getElementById("told"));
const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
const asked = new URLSearchParams(location.search);

/** Where to go: only to a place on this server. @returns {string} */
function next() {
  const url = new URL(asked.get("next") ?? "/", location.origin);
  return url.origin === location.origin ? url.href : "/";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  told.textContent = "";
  try {
    const response = await fetch(form.dataset.to ? location.pathname : "/api/v1/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    });
    if (response.ok) return location.replace(next());
    told.textContent = (await response.json()).detail ?? "Not signed in.";
    /** @type {HTMLInputElement} */ (form.elements.namedItem("password")).select();
  } catch {
    told.textContent = "The monitor does not answer; is it running?";
  } finally {
    button.disabled = false;
  }
});

const reasons = /** @type {Record<string, string>} */ ({
  link: "This link was used already, or is too old. Ask for a new one, or sign in by name.",
  provider: "Your organisation's sign-in did not work, or gives you no role here.",
});
told.textContent = reasons[asked.get("why") ?? ""] ?? "";
