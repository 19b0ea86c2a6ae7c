//! Credential helpers: programs that keep credentials, `docker-credential-<name> get`.
//!
//! Source: docker's "credential helper protocol".

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::credentials::Credentials;

/// A helper may ask a person for a passphrase.
const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_OUTPUT_BYTES: u64 = 64 << 10;
/// What helpers say, with a status that is not 0, when they keep nothing for the registry.
const NOT_FOUND: &str = "credentials not found";
/// The name that stands for a token in the place of a password.
const TOKEN_USER: &str = "<token>";

/// What the helper keeps for a registry.
///
/// # Errors
/// A text without secrets: the helper is not there, fails, takes too long, or says what is no answer.
pub(super) async fn ask(name: &str, authority: &str) -> Result<Credentials, String> {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_name {
        return Err(format!("{name:?} is no name of a credential helper"));
    }
    let program = format!("docker-credential-{name}");
    let mut helper = Command::new(&program);
    helper.arg("get");
    answer_of(helper, authority, TIMEOUT).await.map_err(|cause| format!("{program}: {cause}"))
}

async fn answer_of(helper: Command, authority: &str, timeout: Duration) -> Result<Credentials, String> {
    let (is_success, output) = match tokio::time::timeout(timeout, run(helper, authority)).await {
        Ok(output) => output.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("no answer within {}s", timeout.as_secs_f32())),
    };
    if !is_success {
        let is_unknown = String::from_utf8_lossy(&output).contains(NOT_FOUND);
        return if is_unknown { Ok(Credentials::Anonymous) } else { Err("it failed".to_owned()) };
    }
    read(&output).ok_or_else(|| "its answer cannot be read".to_owned())
}

/// Whether it succeeded, and what it said.
async fn run(mut helper: Command, authority: &str) -> std::io::Result<(bool, Vec<u8>)> {
    let mut helper =
        helper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    if let Some(mut input) = helper.stdin.take() {
        // A helper that does not read its input says itself what it makes of that.
        let _ = input.write_all(authority.as_bytes()).await;
    }
    let mut output = Vec::new();
    if let Some(stdout) = helper.stdout.take() {
        stdout.take(MAX_OUTPUT_BYTES).read_to_end(&mut output).await?;
    }
    Ok((helper.wait().await?.success(), output))
}

fn read(output: &[u8]) -> Option<Credentials> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Username", default)]
        username: String,
        #[serde(rename = "Secret", default)]
        secret: String,
    }
    let Answer { username, secret } = serde_json::from_slice(output).ok()?;
    Some(match username.as_str() {
        TOKEN_USER => Credentials::IdentityToken(secret),
        "" if secret.is_empty() => Credentials::Anonymous,
        _ => Credentials::Basic { username, password: secret },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let basic = Credentials::Basic { username: "me".into(), password: "p".into() };
        for (text, expected) in [
            (r#"{"ServerURL":"registry.example","Username":"me","Secret":"p"}"#, Some(basic)),
            (r#"{"Username":"<token>","Secret":"t"}"#, Some(Credentials::IdentityToken("t".into()))),
            (r#"{"Username":"","Secret":""}"#, Some(Credentials::Anonymous)),
            ("", None),
            ("password: p", None),
        ] {
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_is_refused() {
        for name in ["../evil", "a/b", "a b", "a;b"] {
            assert!(ask(name, "registry.example").await.unwrap_err().contains("no name"), "{name}");
        }
    }

    async fn scripted(script: &str, timeout: Duration) -> Result<Credentials, String> {
        let mut helper = Command::new("sh");
        helper.args(["-c", script]);
        answer_of(helper, "registry.example", timeout).await
    }

    #[tokio::test]
    async fn a_helper_is_told_the_registry_and_answers() {
        let answer = r#"read server; echo "{\"Username\":\"$server\",\"Secret\":\"p\"}""#;
        let told = scripted(answer, TIMEOUT).await.unwrap();
        assert_eq!(told, Credentials::Basic { username: "registry.example".into(), password: "p".into() });
    }

    #[tokio::test]
    async fn a_helper_that_keeps_nothing_is_none_and_one_that_fails_is_told() {
        let unknown = "echo credentials not found in native keychain; exit 1";
        assert_eq!(scripted(unknown, TIMEOUT).await, Ok(Credentials::Anonymous));
        assert_eq!(scripted("echo the secret; exit 1", TIMEOUT).await, Err("it failed".to_owned()));
        assert_eq!(scripted("echo the secret", TIMEOUT).await, Err("its answer cannot be read".to_owned()));
    }

    #[tokio::test]
    async fn a_helper_is_bounded_in_time_and_output() {
        let told = scripted("exec sleep 1000", Duration::from_millis(20)).await.unwrap_err();
        assert!(told.starts_with("no answer"), "{told}");
        // It is not waited for until it stops talking.
        assert!(scripted("exec yes", TIMEOUT).await.is_err());
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_is_told() {
        let told = ask("longshore-has-no-such-helper", "registry.example").await.unwrap_err();
        assert!(told.starts_with("docker-credential-longshore-has-no-such-helper: "), "{told}");
    }
}
