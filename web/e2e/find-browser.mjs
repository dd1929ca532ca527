// Prints the path of a browser that the browser tests can use: one that really starts,
// headless, and shows a page. Where there is none it prints the one command that
// installs one, and exits with 1.
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const startTimeoutMs = 30_000;
const marker = "batuta-browser-works";

// Without these a browser on a closed network asks for updates and accounts, again and again.
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--disable-dev-shm-usage",
];

const names = [
  "chromium",
  "chromium-browser",
  "google-chrome-stable",
  "google-chrome",
  "chrome",
  "microsoft-edge-stable",
  "microsoft-edge",
  "msedge",
];

const places = {
  darwin: [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
  ],
  win32: [process.env.PROGRAMFILES, process.env["PROGRAMFILES(X86)"], process.env.LOCALAPPDATA]
    .filter((folder) => folder !== undefined)
    .flatMap((folder) => [
      join(folder, "Google/Chrome/Application/chrome.exe"),
      join(folder, "Microsoft/Edge/Application/msedge.exe"),
    ]),
};

function executable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function onPath() {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).filter(executable);
}

// The browser that `npx playwright install chromium` has put down, if it has.
async function playwrightsOwn() {
  try {
    const { chromium } = await import("@playwright/test");
    return [chromium.executablePath()].filter((path) => existsSync(path));
  } catch {
    return []; // Playwright itself is not installed
  }
}

async function candidates() {
  const asked = process.env.BROWSER_PATH;
  if (asked) return [asked];
  return [...onPath(), ...(places[process.platform] ?? []).filter(executable), ...(await playwrightsOwn())];
}

// A browser that is there may still not start: libraries are missing, or it is a stub.
function starts(path) {
  const profile = mkdtempSync(join(tmpdir(), "batuta-browser-"));
  const page = `data:text/html,<p>${marker}</p>`;
  return new Promise((resolve) => {
    const child = spawn(path, [...flags, `--user-data-dir=${profile}`, "--dump-dom", page], {
      stdio: ["ignore", "pipe", "ignore"],
      timeout: startTimeoutMs,
      killSignal: "SIGKILL",
    });
    let shown = "";
    child.stdout.on("data", (chunk) => (shown += chunk));
    child.on("error", () => resolve(false));
    child.on("close", (code) => resolve(code === 0 && shown.includes(marker)));
  }).finally(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
}

function installCommand() {
  const debianRoot = existsSync("/etc/debian_version") && process.getuid?.() === 0;
  return debianRoot
    ? "apt-get update && apt-get install -y chromium"
    : "(cd web && npx playwright install --with-deps chromium)";
}

for (const path of await candidates()) {
  if (await starts(path)) {
    console.log(path);
    process.exit(0);
  }
}
console.error(
  `No browser starts here (Chromium, Chrome or Edge; BROWSER_PATH names one). Install one with:\n  ${installCommand()}`,
);
process.exit(1);
