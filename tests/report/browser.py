"""Open a page in Debian's Chromium through the DevTools pipe, as a person would, and look at what comes of it.

usage: browser.py PAGE SHOTS_PREFIX [--not-drawn ID,...] [--degraded] [--outranked] [--with-s]

Fails when the console or an exception says anything, when a figure is missing or empty (but for those of --not-drawn,
which must say why), when hovering or the keyboard shows no tooltip, when the page asks for anything from elsewhere,
when it is wider than a phone, when something leaves its drawing, or when two texts lie on each other. Screenshots at 1280
and 360 px, light and dark, go to SHOTS_PREFIX-*.png. Exit status 77 without Chromium.
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

# What each drawing of a figure must hold at least one of, with an extent: the data, not its axes.
FIGURES = {"summary": "tbody td", "slo": ".slos li", "response": "path.curve", "timeline": "rect.mark", "misses": "rect:not(.hit)",
           "exits": "rect:not(.hit)", "elastic": "path.curve", "stops": "path.curve", "parts": "rect.mark",
           "preemption": "rect:not(.hit)", "noise": "rect:not(.hit)", "tails": "path.curve"}
if "--with-s" in sys.argv:  # what the planner assumed, beside what was seen
    FIGURES["stops"] = "path.curve.second"
page, prefix = os.path.abspath(sys.argv[1]), sys.argv[2]
not_drawn = sys.argv[sys.argv.index("--not-drawn") + 1].split(",") if "--not-drawn" in sys.argv else []
chromium = shutil.which("chromium")
if chromium is None:
    print("no chromium here: apt-get install chromium")
    sys.exit(77)


class Browser:
    """Chromium with its DevTools on descriptors 3 and 4: messages end with a zero byte."""

    def __init__(self, folder):
        read_theirs, self.out = os.pipe()
        self.input, write_theirs = os.pipe()
        # 10 and 11 first: 3 and 4 may be taken by the pipes themselves.
        def plumb():
            os.dup2(read_theirs, 10)
            os.dup2(write_theirs, 11)
            os.dup2(10, 3)
            os.dup2(11, 4)
        arguments = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
                     "--user-data-dir=" + folder, "--remote-debugging-pipe", "about:blank"]
        self.process = subprocess.Popen(arguments, preexec_fn=plumb, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(read_theirs)
        os.close(write_theirs)
        self.buffer, self.number, self.session, self.events = b"", 0, None, []

    def read(self):
        while b"\0" not in self.buffer:
            more = os.read(self.input, 1 << 20)
            if not more:
                sys.exit("chromium ended unexpectedly")
            self.buffer += more
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, text):
        result = self.call("Runtime.evaluate", expression=text, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            sys.exit(f"{text}: {result['exceptionDetails']}")
        return result["result"].get("value")


failures = []


def check(ok, text):
    if not ok:
        failures.append(text)


def settle(browser):
    browser.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))")


def open_page(browser):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(domain + ".enable")
    size(browser, 1280)
    browser.call("Page.navigate", url="file://" + page)
    while browser.evaluate("document.readyState") != "complete" or browser.evaluate("location.href") == "about:blank":
        pass
    settle(browser)


def size(browser, width):
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)


def look_at_figures(browser, width):
    for figure, shapes in FIGURES.items():
        is_drawn = browser.evaluate(f"""(() => {{ const f = document.getElementById('{figure}'); if (!f) return 'missing';
            if (f.querySelector('.none')) return 'none: ' + f.querySelector('.none').textContent;
            const drawings = [...f.querySelectorAll('svg[role=group]')];
            const seen = (drawings.length ? drawings : [f]).map(d => [...d.querySelectorAll('{shapes}')].filter(n => {{
                const b = n.getBoundingClientRect(); return b.width + b.height > 1; }}).length);
            return seen.every(n => n > 0) ? 'drawn' : 'empty: ' + seen; }})()""")
        wanted = "none: " if figure in not_drawn else "drawn"
        check(is_drawn.startswith(wanted), f"figure {figure} at {width} px: {is_drawn}, wanted {wanted}")
        check(figure in not_drawn or browser.evaluate(f"!/NaN|undefined|Infinity|\\de\\+/.test(document.getElementById('{figure}').innerHTML)"),
              f"figure {figure} at {width} px holds NaN or undefined")
    check(browser.evaluate("document.documentElement.scrollWidth") <= width, f"the page is wider than {width} px")


def look_at_bounds(browser, width):
    """Nothing that is drawn leaves its drawing, and no two texts of one lie on each other."""
    strays = browser.evaluate("""[...document.querySelectorAll('figure svg[role=group]')].flatMap(root => {
        const box = root.getBoundingClientRect(), where = root.closest('figure').id + ' ' + root.getAttribute('aria-label') + ': ';
        const name = node => node.tagName + '.' + node.getAttribute('class') + ' ' + node.textContent;
        const found = [], texts = [];
        for (const node of root.querySelectorAll('path, rect, circle:not(.dot), line, text')) {
            const b = node.getBoundingClientRect();
            if (b.left < box.left - 3 || b.right > box.right + 3 || b.top < box.top - 3 || b.bottom > box.bottom + 3) {
                found.push(where + name(node) + ' leaves the drawing by ' + [box.left - b.left, b.right - box.right, box.top - b.top, b.bottom - box.bottom].map(Math.round));
            }
            if (node.tagName === 'text' && !node.dataset.over) texts.push([b, node]);
        }
        texts.forEach(([a, node], i) => { for (const [b, other] of texts.slice(i + 1)) {
            if (a.left + 1 < b.right && b.left + 1 < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom) {
                found.push(where + name(node) + ' and ' + name(other) + ' overlap');
            } } });
        return found; })""")
    for stray in strays:
        check(False, f"at {width} px, {stray}")


def hover(browser):
    """The pointer over a mark of each drawn figure shows its tooltip; leaving it hides it."""
    for figure in FIGURES:
        if figure in not_drawn or figure in ("summary", "slo"):
            continue
        spot = browser.evaluate(f"""(() => {{ const marks = [...document.querySelectorAll('#{figure} .mark')]; const m = marks[marks.length >> 1];
            if (!m) return null; m.scrollIntoView({{ block: 'center' }}); const b = m.getBoundingClientRect();
            return [b.left + b.width / 2, b.top + b.height / 2]; }})()""")
        check(spot is not None, f"figure {figure} has no mark to hover over")
        if spot is None:
            continue
        settle(browser)
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=spot[0], y=spot[1])
        text = browser.evaluate("document.getElementById('tip').hidden ? '' : document.getElementById('tip').innerText")
        check(len(text) > 8, f"hovering over figure {figure} shows no tooltip")
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
        check(browser.evaluate("document.getElementById('tip').hidden"), f"the tooltip of figure {figure} stays")


def key(browser, name, code):
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code)


def use_keyboard(browser):
    """Tab reaches the drawings; arrow keys go from mark to mark with their tooltips and names."""
    browser.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    for _ in range(12):
        key(browser, "Tab", 9)
        if browser.evaluate("document.activeElement.classList.contains('mark')"):
            break
    first = browser.evaluate("document.activeElement.getAttribute('aria-label')")
    check(first, "the tab key reaches no mark")
    settle(browser)
    key(browser, "ArrowRight", 39)
    second = browser.evaluate("document.activeElement.getAttribute('aria-label')")
    check(second and second != first, f"the arrow key does not move from mark to mark: {first} / {second}")
    check(not browser.evaluate("document.getElementById('tip').hidden"), "a mark that is focused shows no tooltip")
    key(browser, "Escape", 27)
    check(browser.evaluate("document.getElementById('tip').hidden"), "Escape does not hide the tooltip")


def shoot(browser, name):
    browser.evaluate("scrollTo(0, 0), document.activeElement && document.activeElement.blur(), document.getElementById('tip').hidden = true")
    height = browser.evaluate("document.documentElement.scrollHeight")
    width = browser.evaluate("innerWidth")
    shot = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                        clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
    with open(f"{prefix}-{name}.png", "wb") as file:
        file.write(base64.b64decode(shot["data"]))


def complain_of_events(browser):
    for event in browser.events:
        method, parameters = event.get("method", ""), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            check(False, "exception: " + json.dumps(parameters["exceptionDetails"])[:600])
        elif method == "Runtime.consoleAPICalled" or method == "Log.entryAdded":
            check(False, "console: " + json.dumps(parameters)[:600])
        elif method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            check(url.startswith("file://" + page) or url == "about:blank", "the page asks for " + url)


def visit(browser):
    open_page(browser)
    timing = browser.evaluate("(() => { const t = performance.getEntriesByType('navigation')[0]; return Math.round(t.loadEventEnd || t.duration); })()")
    print(f"{os.path.getsize(page)} bytes, loaded after {timing} ms")
    check(browser.evaluate("document.title").startswith("DEGRADED") == ("--degraded" in sys.argv), "the title does not say whether the run is degraded")
    check(browser.evaluate("document.getElementById('degraded') !== null") == ("--degraded" in sys.argv), "the banner does not say whether the run is degraded")
    for place in ("notes", "noise", "summary-tiles"):
        says = browser.evaluate(f"((document.getElementById('{place}') || {{}}).textContent || '').includes('probe is no real-time thread')")
        check(says == ("--outranked" in sys.argv), f"#{place} does not tell an outranked probe from a real-time one")
    for width in (1280, 360):
        size(browser, width)
        settle(browser)
        look_at_figures(browser, width)
        look_at_bounds(browser, width)
        for scheme in ("light", "dark"):
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            settle(browser)
            shoot(browser, f"{width}-{scheme}")
    dark = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    check(browser.evaluate("getComputedStyle(document.body).backgroundColor") != dark, "light and dark look the same")
    size(browser, 1280)
    settle(browser)
    hover(browser)
    use_keyboard(browser)
    complain_of_events(browser)


# Chromium's helpers may still write into the folder when it is removed.
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    browser = Browser(folder)
    try:
        visit(browser)
    finally:
        browser.process.terminate()
        browser.process.wait()
for failure in failures:
    print("FAILED:", failure)
sys.exit(1 if failures else 0)
