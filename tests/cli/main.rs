//! Commands: those that speak to a registry that runs, against an admin server with canned answers; those that push and
//! pull, against the real program.

mod fake_admin;
mod listing;
mod loads;
mod purging;
mod refusals;
mod reloading;
mod reports;
mod steering;
mod terminal;
mod transfers;
mod watching;

use std::process::{Command, Output, Stdio};

use self::fake_admin::FakeAdmin;

/// The program with nothing in its environment but `environment`.
fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs it to its end against a server.
fn against(admin: &FakeAdmin, arguments: &[&str]) -> Output {
    command(arguments, &[("LONGSHORE_ADMIN", &admin.address())]).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A good one: it printed this, and complained of nothing.
#[track_caller]
fn expect_stdout(output: &Output) -> String {
    assert_eq!((output.status.code(), stderr(output).as_str()), (Some(0), ""));
    stdout(output)
}
