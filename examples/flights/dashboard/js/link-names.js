/** Names that the subscriptions and the switches share. */

/** The whole stream: every airport. */
export const ALL = 'ALL';
