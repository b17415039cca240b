"""Messages to the users of this node: its lease and slot, who is announced, inbox, mailboxes, `@me`."""
