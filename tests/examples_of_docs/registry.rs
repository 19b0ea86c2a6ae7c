// Shared by the examples in the documentation of `longshore::client`, which include it.

/// Runs `example` beside a registry in memory, whose address it gets.
fn with_registry<F: Future<Output = Result<(), Box<dyn std::error::Error>>>>(
    example: impl FnOnce(String) -> F,
) -> Result<(), Box<dyn std::error::Error>> {
    use longshore::{
        app::App,
        config::{Config, StorageDriver},
    };

    let mut config = Config::default();
    config.storage.driver = StorageDriver::Memory;
    (config.http.addr, config.http.admin_addr) = ("127.0.0.1:0".parse()?, "127.0.0.1:0".parse()?);
    actix::System::new().block_on(async {
        let app = App::start(config).await?;
        let done = example(app.addr().to_string()).await;
        app.stop().await;
        done
    })
}
