use super::*;

const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

fn descriptor(media_type: &str, fill: char) -> String {
    let hex: String = std::iter::repeat_n(fill, 64).collect();
    format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{hex}","size":7}}"#)
}

fn image(extra: &str) -> String {
    let config = descriptor("application/vnd.example.config", 'a');
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", 'b');
    format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]{extra}}}"#)
}

fn index(extra: &str) -> String {
    format!(r#"{{"schemaVersion":2,"manifests":[{}]{extra}}}"#, descriptor(OCI_IMAGE, 'c'))
}

fn parse(json: &str, content_type: Option<&str>) -> Result<Manifest, ManifestError> {
    Manifest::parse(json.as_bytes(), content_type)
}

fn refusal(json: &str, content_type: Option<&str>) -> String {
    parse(json, content_type).expect_err(json).to_string()
}

#[test]
fn the_type_comes_from_the_header_the_field_or_the_shape() {
    for content_type in [None, Some(OCI_IMAGE)] {
        assert_eq!(parse(&image(""), content_type).unwrap().manifest_type, ManifestType::OciImage);
    }
    for content_type in [None, Some(OCI_INDEX)] {
        assert_eq!(parse(&index(""), content_type).unwrap().manifest_type, ManifestType::OciIndex);
    }
    for (document, media_type) in
        [(image as fn(&str) -> String, DOCKER_IMAGE), (image, OCI_IMAGE), (index, DOCKER_LIST), (index, OCI_INDEX)]
    {
        let json = document(&format!(r#","mediaType":"{media_type}""#));
        for content_type in [None, Some(media_type)] {
            assert_eq!(parse(&json, content_type).unwrap().manifest_type.as_str(), media_type);
        }
        assert_eq!(super::super::stored_media_type(json.as_bytes()).unwrap(), media_type);
    }
}

#[test]
fn contradictions_are_refused() {
    let docker = format!(r#","mediaType":"{DOCKER_IMAGE}""#);
    assert!(refusal(&image(&docker), Some(OCI_IMAGE)).contains("Content-Type is"));
    assert!(refusal(&image(""), Some(OCI_INDEX)).contains("fields are those of another type"));
    assert!(refusal(&index(""), Some(OCI_IMAGE)).contains("fields are those of another type"));
    assert!(refusal(&index(&docker), None).contains("fields are those of another type"));
    assert!(refusal(&image(r#","manifests":[]"#), None).contains("image and those of an index"));
    assert!(refusal(&image(""), Some("application/json")).contains("application/json"));
    assert!(refusal(&image(r#","mediaType":"a/b""#), None).contains("a/b"));
    assert!(refusal(r#"{"schemaVersion":2}"#, Some(OCI_IMAGE)).contains("neither"));
}

#[test]
fn a_docker_type_that_the_bytes_would_not_tell_again_is_refused() {
    assert!(refusal(&image(""), Some(DOCKER_IMAGE)).contains("mediaType does not say so"));
    assert!(refusal(&index(""), Some(DOCKER_LIST)).contains("mediaType does not say so"));
}

#[test]
fn schema_1_is_refused_by_name() {
    let signed = r#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"signatures":[]}"#;
    for content_type in [None, Some(SCHEMA_1), Some(SCHEMA_1_SIGNED), Some(OCI_IMAGE)] {
        assert!(refusal(signed, content_type).contains("docker schema 1 is not supported"), "{content_type:?}");
    }
}

#[test]
fn what_is_no_manifest_is_refused_with_the_cause() {
    for (json, cause) in [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "no schemaVersion"),
        (r#"{"schemaVersion":3}"#, "schemaVersion is 3"),
        (r#"{"schemaVersion":2,"layers":[]}"#, "no config"),
        (r#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":1,"digest":"md5:00"}}"#, "config cannot be read"),
        (r#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:00"}}"#, "config cannot be read"),
        (r#"{"schemaVersion":2,"config":["a/b","sha256:00",1]}"#, "config cannot be read"),
        (r#"{"schemaVersion":2,"manifests":{}}"#, "manifests cannot be read"),
        (r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#, "duplicate field"),
        (r#"{"schemaVersion":2,"manifests":[],"subject":{"digest":"x"}}"#, "subject cannot be read"),
        (r#"{"schemaVersion":2,"manifests":[],"annotations":{"a":1}}"#, "annotations cannot be read"),
    ] {
        assert!(refusal(json, None).contains(cause), "{json}: {}", refusal(json, None));
    }
}

#[test]
fn a_long_text_of_the_client_does_not_come_back_whole() {
    let json = image(&format!(r#","mediaType":"{}""#, "x".repeat(100_000)));
    assert!(refusal(&json, None).len() < 400);
}

#[test]
fn empty_lists_and_unknown_fields_pass() {
    let config = descriptor("application/vnd.oci.empty.v1+json", 'a');
    for json in [
        r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":null,"org.example":{{"a":[1]}}}}"#),
        image(r#","subject":null,"annotations":null,"platform":{"os":"x"}"#),
    ] {
        assert!(parse(&json, None).is_ok(), "{json}");
    }
}

#[test]
fn the_artifact_type_falls_back_to_the_config() {
    let artifact_type = |json: &str| parse(json, None).unwrap().artifact_type;
    assert_eq!(artifact_type(&image("")).as_deref(), Some("application/vnd.example.config"));
    assert_eq!(artifact_type(&image(r#","artifactType":"""#)).as_deref(), Some("application/vnd.example.config"));
    assert_eq!(artifact_type(&image(r#","artifactType":"a/b""#)).as_deref(), Some("a/b"));
    assert_eq!(artifact_type(&index("")), None);
    assert_eq!(artifact_type(&index(r#","artifactType":"a/b""#)).as_deref(), Some("a/b"));
}

#[test]
fn subject_and_annotations_are_read() {
    let extra = format!(r#","subject":{},"annotations":{{"k":"v"}}"#, descriptor(OCI_IMAGE, 'd'));
    let manifest = parse(&image(&extra), None).unwrap();
    assert_eq!(manifest.subject.unwrap().hex(), "d".repeat(64));
    assert_eq!(manifest.annotations["k"], "v");
    let docker = format!(r#"{extra},"mediaType":"{DOCKER_IMAGE}""#);
    assert_eq!(parse(&image(&docker), None).unwrap().subject, None);
}

#[test]
fn only_undistributable_layers_with_addresses_may_be_absent() {
    let layer = |media_type: &str, urls: &str| -> Descriptor {
        let digest = format!("sha256:{}", "e".repeat(64));
        serde_json::from_str(&format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":1,"urls":{urls}}}"#))
            .unwrap()
    };
    let urls = r#"["https://example.com/layer"]"#;
    assert!(layer("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", urls).is_kept_elsewhere());
    assert!(layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls).is_kept_elsewhere());
    assert!(!layer("application/vnd.oci.image.layer.nondistributable.v1.tar", "[]").is_kept_elsewhere());
    assert!(!layer("application/vnd.oci.image.layer.nondistributable.v1.tar", "null").is_kept_elsewhere());
    assert!(!layer("application/vnd.oci.image.layer.v1.tar", urls).is_kept_elsewhere());
}
