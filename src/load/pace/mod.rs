//! When tasks begin: the course of workers or of a rate over time, and the exact moments at which tasks are due.

mod course;
mod mix;
mod schedule;
mod turns;

pub use course::Course;
pub use mix::Mix;
pub use schedule::Schedule;
pub use turns::{PlannedTurn, Turns};
