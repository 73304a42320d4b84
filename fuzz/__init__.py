"""Searches for frames on which the reference and the eBPF program disagree.

Every frame is judged twice: by the reference (`vifguard.semantics`) and by the program itself
(BPF_PROG_TEST_RUN), at several of many ports that are held at once, in both directions. They
must agree on the verdict, the guard and the reason, and the drop record must be of this
frame. Frames come from two searches:

- *guided* (`guided`, libFuzzer by way of atheris): keeps frames that reach new code in `packet`
  and `semantics`;
- *structured* (`search`): changes fields, headers, options and lengths of known frames, and
  keeps frames that show a new behaviour: a shape that got a reason it never got before.

A third looks at *sequences* (`sequences`): conversations at ports with security groups, rules and
time that change meanwhile, and now and then a frame that was changed as above.

The first two keep their frames in the corpus (`fuzz/corpus`), which every later run starts from and
the tests replay; disagreements are kept in `fuzz/regressions`, with a sentence each.
"""
