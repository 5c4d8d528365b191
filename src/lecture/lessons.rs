//! Lessons for a course: predict, run one command, see, explain.
//!
//! Every command and every output in them is run and compared by the tests. The same in Bahasa
//! Indonesia: `src/lecture/lessons/indonesian.md`.
//!
#![doc = include_str!("lessons/english.md")]
