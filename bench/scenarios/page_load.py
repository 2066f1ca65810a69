#!/usr/bin/env python3
"""What the web page weighs and how soon it is there: each view in a fresh profile, then once more in the same one.

    bench/scenarios/page_load.py [--runs 5]      medians; files and bytes over the wire are of the first visit
"""

import argparse
import os
import statistics
import time

from common import SMOLLM2, llama_box, machine

VIEWS = {"chat": "textarea", "compare": "textarea", "cache": ".live:text-is('live')"}


def visit(context, url, sign):
    """Seconds until `sign` is there, files and bytes that came over the wire."""
    page = context.new_page()
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    sizes = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    start = time.perf_counter()
    page.goto(url)
    page.locator(sign).first.wait_for()
    seconds = time.perf_counter() - start
    page.close()
    return seconds, len(sizes), sum(sizes)


def main():
    from playwright.sync_api import sync_playwright
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print(f"{machine()}; medians of {runs}")
    with llama_box(SMOLLM2, "-c", 2048) as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=os.environ.get("LLAMABOX_CHROMIUM", "/usr/bin/chromium"),
                                         args=["--no-sandbox"])
        for view, sign in VIEWS.items():
            first, again = [], []
            for _ in range(runs):
                context = browser.new_context()
                first.append(visit(context, f"http://{server.url}/#/{view}", sign))
                again.append(visit(context, f"http://{server.url}/#/{view}", sign)[0])
                context.close()
            seconds, files, size = (statistics.median(values) for values in zip(*first))
            print(f"{view:8} {files:.0f} files, {size / 1000:.0f} KB, {seconds:.2f} s; again {statistics.median(again):.2f} s")


if __name__ == "__main__":
    main()
