//! Copies between registries and layouts, through the library, with registries in this process.

mod copies;
mod refusals;
mod resumes;
mod unsteady;
mod world;
