"""What a form is once it is read knows its line, and needs no YAML to be spoken of."""

import subprocess
import sys

from dcu.forms.tree import Listing, Scalar, Section


def test_a_tree_is_compared_by_what_it_says_and_where() -> None:
    word = Scalar("a", quoted=False, line=1)
    assert Section([(word, Listing([word], 2))], 1) == Section([(word, Listing([word], 2))], 1)
    assert word != Scalar("a", quoted=False, line=2)


def test_the_words_of_a_form_need_no_parser() -> None:
    code = "import sys, dcu.forms.words, dcu.forms.access; sys.exit('yaml' in sys.modules or 'difflib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
