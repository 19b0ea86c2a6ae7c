use super::*;

fn basic(username: &str, password: &str) -> Credentials {
    Credentials::Basic { username: username.into(), password: password.into() }
}

async fn of_text(text: &str, authority: &str) -> Result<Credentials, String> {
    serde_json::from_str::<DockerConfig>(text).unwrap().credentials(authority).await
}

#[tokio::test]
async fn entries_are_found_with_and_without_scheme_and_path() {
    let auth = r#"{"auth":"bWU6YTpi"}"#;
    for key in [
        "registry.example",
        "https://registry.example",
        "http://registry.example/",
        "https://registry.example/v1/",
        "registry.example/v2/",
    ] {
        let text = format!(r#"{{"auths":{{"{key}":{auth}}}}}"#);
        assert_eq!(of_text(&text, "registry.example").await, Ok(basic("me", "a:b")), "{key}");
        assert_eq!(of_text(&text, "registry.example:5000").await, Ok(Credentials::Anonymous), "{key}");
        assert_eq!(of_text(&text, "example").await, Ok(Credentials::Anonymous), "{key}");
    }
}

#[tokio::test]
async fn the_host_itself_goes_before_a_part_of_it() {
    let text =
        r#"{"auths":{"registry.example/team":{"auth":"dGVhbTp0"},"https://registry.example":{"auth":"bWU6cA=="}}}"#;
    let exact = text.replace("https://registry.example", "registry.example");
    assert_eq!(of_text(&exact, "registry.example").await, Ok(basic("me", "p")));
    let only_a_part = r#"{"auths":{"registry.example/team":{"auth":"dGVhbTp0"}}}"#;
    assert_eq!(of_text(only_a_part, "registry.example").await, Ok(basic("team", "t")));
}

#[tokio::test]
async fn every_form_of_an_entry_is_read() {
    let of_entry = async |entry: &str| of_text(&format!(r#"{{"auths":{{"r:5":{entry}}}}}"#), "r:5").await;
    assert_eq!(
        of_entry(r#"{"auth":"bWU6cA==","identitytoken":"t"}"#).await,
        Ok(Credentials::IdentityToken("t".into()))
    );
    assert_eq!(of_entry(r#"{"registrytoken":"t"}"#).await, Ok(Credentials::RegistryToken("t".into())));
    assert_eq!(of_entry(r#"{"username":"me","password":"p"}"#).await, Ok(basic("me", "p")));
    assert_eq!(of_entry(r#"{"auth":"bWU6cAAA"}"#).await, Ok(basic("me", "p")));
    assert_eq!(of_entry("{}").await, Ok(Credentials::Anonymous));
    for broken in ["secret!", "c2VjcmV0"] {
        let told = of_entry(&format!(r#"{{"auth":"{broken}"}}"#)).await.unwrap_err();
        assert!(!told.contains(broken) && !told.contains("secret"), "{told}");
    }
}

#[tokio::test]
async fn a_helper_of_the_registry_goes_before_the_one_for_all() {
    let text = r#"{"credHelpers":{"registry.example":"longshore-none-a"},"credsStore":"longshore-none-b"}"#;
    assert!(of_text(text, "registry.example").await.unwrap_err().contains("longshore-none-a"));
    assert!(of_text(text, "other.example").await.unwrap_err().contains("longshore-none-b"));
}

#[tokio::test]
async fn the_first_file_with_an_entry_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let files = [
        folder.path().join("not-there"),
        file("a", r#"{"auths":{"a.example":{"auth":"bWU6YQ=="},"b.example":{}},"HttpHeaders":{"X":"y"}}"#),
        file("b", r#"{"auths":{"a.example":{"auth":"bWU6Yg=="},"b.example":{"auth":"bWU6Yg=="}}}"#),
    ];
    let credentials = DockerCredentials::from_files(files);
    assert_eq!(credentials.credentials("a.example").await, Ok(basic("me", "a")));
    assert_eq!(credentials.credentials("b.example").await, Ok(basic("me", "b")));
    assert_eq!(credentials.credentials("c.example").await, Ok(Credentials::Anonymous));
}

#[tokio::test]
async fn a_file_that_is_no_configuration_is_told_without_what_stands_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    for text in ["secret", r#"{"auths":"secret"}"#] {
        std::fs::write(&file, text).unwrap();
        let told = DockerCredentials::from_files([file.clone()]).credentials("a.example").await.unwrap_err();
        assert!(told.contains("config.json") && !told.contains("secret"), "{told}");
    }
    assert!(DockerCredentials::from_files([folder.path().to_owned()]).credentials("a.example").await.is_err());
}
