"""SHOW: a trace becomes a sheet, and each format writes the sheet in its own way."""

from attntrace.render import apart as apart
from attntrace.render.columns import COLUMNS as COLUMNS
from attntrace.render.csv import to_csv as to_csv
from attntrace.render.finding import finding_lines as finding_lines
from attntrace.render.html import to_html as to_html
from attntrace.render.json import to_json as to_json
from attntrace.render.markdown import to_markdown as to_markdown
from attntrace.render.sheet import DEFAULT as DEFAULT
from attntrace.render.sheet import View as View
from attntrace.render.terminal import print_crash as print_crash
from attntrace.render.terminal import print_report as print_report
from attntrace.render.text import to_text as to_text
