//! The book: what the table of rules says, for people and for machines.
