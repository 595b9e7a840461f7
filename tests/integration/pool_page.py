# SPDX-License-Identifier: Apache-2.0
# Drives a browser over its DevTools pipe (JSON messages that end with a zero byte): see pool_page.
# usage: pool_page.py BROWSER ADDRESS TOKEN JOB [SCREENSHOT.png]
import base64
import json
import os
import subprocess
import sys
import tempfile
import time


class Browser:
    def __init__(self, program, profile):
        to_browser, self.out = os.pipe()
        self.back, from_browser = os.pipe()
        # The browser reads descriptor 3 and writes descriptor 4.
        command = ('exec "$@" 3<&%d 4>&%d' % (to_browser, from_browser))
        self.process = subprocess.Popen(
            ["bash", "-c", command, "browser", program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--remote-debugging-pipe", "--no-first-run", "--disable-dev-shm-usage", "--user-data-dir=" + profile,
             "--window-size=1280,900", "about:blank"],
            pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.next_id, self.buffer, self.session, self.events = 1, b"", None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(domain + ".enable")

    def receive(self):
        while b"\0" not in self.buffer:
            data = os.read(self.back, 1 << 16)
            if not data:
                raise SystemExit("FAILED: the browser has ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        message = {"id": self.next_id, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.next_id += 1
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == message["id"]:
                if "error" in answer:
                    raise SystemExit("FAILED: %s: %s" % (method, answer["error"]))
                return answer["result"]
            self.events.append(answer)

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise SystemExit("FAILED: %s: %s" % (expression, result["exceptionDetails"]))
        return result["result"].get("value")

    def until(self, expression, what):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.value(expression):
                return
            time.sleep(0.1)
        raise SystemExit("FAILED: not within a minute: %s\n%s" % (what, self.value("document.body.innerText")))

    def key(self, key, code, text=""):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                      **({"text": text} if text and kind == "keyDown" else {}))

    def tab_to(self, expression, what):
        for _ in range(60):
            if self.value("(() => { const e = document.activeElement; return %s; })()" % expression):
                return
            self.key("Tab", 9)
        raise SystemExit("FAILED: the keyboard does not reach " + what)

    def close(self):
        self.process.terminate()
        self.process.wait()


def check(browser, address, token, job):
    browser.call("Page.navigate", url=address + "/")
    browser.until("document.readyState === 'complete' && !document.getElementById('login').hidden", "the form for the token")
    for wrong in ("wrong", token):
        browser.tab_to("e.id === 'token'", "the token's field")
        browser.call("Input.insertText", text=wrong)
        browser.key("Enter", 13, "\r")
        if wrong != token:
            browser.until("document.getElementById('refused').textContent !== ''", "a wrong token is refused")
    row = "document.querySelector('#jobs tr[data-key=\"%s\"]')" % job
    browser.until(row + " !== null", "the job's row")
    browser.until("document.querySelectorAll('#workers tr').length === 2", "two workers")
    browser.until("document.querySelector('#previews img')?.naturalWidth > 0", "a preview")
    bar = row + ".querySelector('progress').value"
    before = browser.value(bar)
    browser.until("%s > %d" % (bar, before), "progress moves")
    # By keyboard alone; the focus stays where it is while the page changes.
    browser.tab_to("e.getAttribute('aria-label') === 'pause or resume job %s'" % job, "the pause button")
    browser.key("Enter", 13, "\r")
    browser.until(row + ".cells[1].textContent === 'running, paused'", "the job is paused")
    assert browser.value("document.activeElement.textContent") == "Resume", "the focus was lost"
    browser.key("Enter", 13, "\r")
    browser.until(row + ".cells[1].textContent === 'running'", "the job goes on")
    browser.until("%s > %d" % (bar, browser.value(bar)), "progress moves again")
    # The address with the token opens it, too, and does not keep the token.
    browser.call("Page.navigate", url=address + "/?token=" + token)
    browser.until("document.querySelectorAll('#jobs tr').length >= 3", "the page of an address with a token")
    assert "token" not in browser.value("location.href"), "the address keeps the token"
    asked = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    outside = [url for url in asked if not url.startswith((address, "blob:", "about:", "data:"))]
    assert asked and not outside, "the page asks elsewhere: %s" % outside
    errors = [e["params"] for e in browser.events if e.get("method") == "Runtime.exceptionThrown"]
    assert not errors, errors


def main():
    program, address, token, job = sys.argv[1:5]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            check(browser, address, token, job)
            if len(sys.argv) > 5:
                browser.until("document.querySelectorAll('#previews img').length > 7", "enough previews for a picture")
                browser.until("[...document.querySelectorAll('#previews img')].every(i => i.naturalWidth > 0)", "all previews")
                picture = browser.call("Page.captureScreenshot", format="png")["data"]
                with open(sys.argv[5], "wb") as file:
                    file.write(base64.b64decode(picture))
        finally:
            browser.close()
    print("the page shows jobs, workers and samples, and is used by keyboard")


main()
