"""What `analysis.difference` found, as text for people, as Markdown and as facts for JSON.

Not to be mixed up with `render.compare`, which sets figures of several runs side by side and says
which tensors their bytes are made of.
"""

from attntrace.render.difference.facts import difference_facts as difference_facts
from attntrace.render.difference.lines import difference_lines as difference_lines
from attntrace.render.difference.markdown import difference_markdown as difference_markdown
from attntrace.render.difference.sentence import difference_sentence as difference_sentence
