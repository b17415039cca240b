"""What clients saw and what was published, written down; and the checker that compares the two.

A history is a folder::

    log.jsonl               every record ever published: `entries.Topic` and `entries.Published`
    run.json                what the run promised: `entries.Run`
    samples.jsonl           bytes queued per connection, now and then: `entries.Sample`
    PART/frames             every distinct frame that one process received, one after another
    PART/CLIENT.jsonl       what one client did and got: the other classes of `entries`

Each process that records has its own part. `writing` makes these files, `recorder` is a client that does,
`checking` reads them: ``python -m histories FOLDER``. Only `link` and `recorder` know a loop or a clock.
"""
