"""YAML that people write: text to a bounded tree with line numbers, and its checking against shapes, fault by fault.

Which forms there are is not here: the configuration's are in `config`, those of companion profiles in `profiles`.
"""
