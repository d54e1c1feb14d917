"""CHECK: find configs, run each, judge what came of it, and say it in one report."""
