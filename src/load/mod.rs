//! Floor 6: the load tester.
//!
//! A [`plan::Plan`] says what is to be done to which registries; [`run`] does it: workers in turns over the targets, at
//! a [`pace`], each with [`content`] that nobody has pushed before, and [`measure`] counts. What they do is in
//! [`workloads`], over connections that [`wire`] has in its hand; what was acknowledged is looked at afterwards. What
//! comes out is a [`report::Report`].

pub mod content;
pub mod control;
pub mod live;
pub mod measure;
pub mod pace;
pub mod plan;
pub mod report;
pub mod run;
pub mod server;
mod verify;
pub mod wire;
pub mod workloads;
