use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use longshore::load::server::figures::{Figures, FiguresError, Watch};
use longshore::load::server::machine;

/// A program that does what its input says.
struct Program {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Program {
    fn start(command: &mut Command) -> Program {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Program { child, input, output }
    }

    /// A shell, which has run a line when this returns.
    fn shell() -> Program {
        Program::start(Command::new("sh").arg("-c").arg("while read -r line; do eval \"$line\"; echo; done"))
    }

    fn run(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        let mut answer = [0];
        self.output.read_exact(&mut answer).unwrap();
    }

    fn watch(&self) -> Watch {
        Watch::processes(&[self.child.id()]).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const BURN: &str = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";

#[test]
fn processor_time_is_that_of_the_turn() {
    let mut shell = Program::shell();
    shell.run(BURN);
    let watch = shell.watch();
    let idle = watch.begin().unwrap().end().unwrap();
    assert!(idle.user_cpu + idle.system_cpu <= Duration::from_millis(20), "what was before is not in {idle:?}");
    let turn = watch.begin().unwrap();
    shell.run(BURN);
    let busy = turn.end().unwrap();
    assert!(busy.user_cpu > Duration::ZERO, "{busy:?}");
    // The kernel counts in steps of 10 ms.
    let most = busy.elapsed * busy.cpus as u32 + Duration::from_millis(20);
    assert!(busy.user_cpu + busy.system_cpu <= most, "{busy:?}");
    assert!(busy.voluntary_switches > 0, "it waited for its input: {busy:?}");
    assert!(busy.cpu_share() > 0.0);
}

#[test]
fn memory_is_that_of_the_turn() {
    const LARGE_BYTES: u64 = 40 << 20;
    let mut shell = Program::shell();
    let watch = shell.watch();
    let turn = watch.begin().unwrap();
    shell.run("v=$(printf %041943040d 0); v=");
    let large = turn.end().unwrap();
    assert!(large.peak_memory_bytes > LARGE_BYTES, "{large:?}");
    assert!(large.mean_memory_bytes > 0 && large.mean_memory_bytes <= large.peak_memory_bytes, "{large:?}");
    drop(shell);
    assert!(matches!(watch.begin(), Err(FiguresError::Gone { .. })));
}

#[test]
fn what_is_written_to_a_disk_is_counted() {
    const WRITTEN_BYTES: usize = 4 << 20;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("written");
    // It passes on what it writes, so that it is known when it has.
    let mut tee = Program::start(Command::new("tee").arg(&file));
    let turn = tee.watch().begin().unwrap();
    let (input, output) = (&mut tee.input, &mut tee.output);
    let mut passed_on = vec![0; WRITTEN_BYTES];
    std::thread::scope(|scope| {
        scope.spawn(|| input.write_all(&vec![7; WRITTEN_BYTES]).unwrap());
        output.read_exact(&mut passed_on).unwrap();
    });
    // When it passes this on, all before it is written.
    tee.input.write_all(&[8]).unwrap();
    tee.output.read_exact(&mut passed_on[..1]).unwrap();
    let figures = turn.end().unwrap();
    assert!(fs::metadata(&file).unwrap().len() >= WRITTEN_BYTES as u64);
    assert!(figures.written_bytes >= WRITTEN_BYTES as u64, "{figures:?}");
}

#[test]
fn processes_are_added_up() {
    let (mut busy, idle) = (Program::shell(), Program::shell());
    let watch = Watch::processes(&[busy.child.id(), idle.child.id()]).unwrap();
    let turn = watch.begin().unwrap();
    busy.run(BURN);
    let both = turn.end().unwrap();
    let alone = idle.watch().begin().unwrap().end().unwrap();
    assert!(both.user_cpu > Duration::ZERO);
    assert!(both.mean_memory_bytes > alone.mean_memory_bytes, "{both:?} {alone:?}");
}

#[test]
fn a_process_that_goes_away_has_no_figures() {
    let mut shell = Program::shell();
    let watch = shell.watch();
    let turn = watch.begin().unwrap();
    shell.child.kill().unwrap();
    // It has ended when its output has, and nobody has waited for it yet.
    let mut rest = Vec::new();
    shell.output.read_to_end(&mut rest).unwrap();
    let pid = shell.child.id();
    match turn.end() {
        Err(FiguresError::Gone { pid: gone }) => assert_eq!(gone, pid),
        other => panic!("{other:?}"),
    }
    shell.child.wait().unwrap();
    let error = Watch::processes(&[pid]).unwrap_err();
    assert_eq!(error.to_string(), format!("process {pid} is not there"));
}

#[test]
fn we_see_ourselves() {
    let turn = Watch::ourselves().unwrap().begin().unwrap();
    let figures: Figures = turn.end().unwrap();
    assert!(figures.peak_memory_bytes >= figures.mean_memory_bytes && figures.mean_memory_bytes > 0, "{figures:?}");
    assert!(figures.cpus >= machine().unwrap().cpus, "{figures:?}");
}
