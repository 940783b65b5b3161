use anyhow::Context as _;
use reqwest::{Method, RequestBuilder, Url};

/// The storage account of `AzureWebJobsStorage`: endpoints and a shared access signature.
pub(super) struct Connection {
    http: reqwest::Client,
    blob: Url,
    queue: Url,
    signature: String,
}

/// Newest service version that is asked for.
const VERSION: &str = "2025-11-05";

impl Connection {
    /// Reads `BlobEndpoint=...;QueueEndpoint=...;SharedAccessSignature=...`.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let part = |name: &str| {
            text.split(';')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
                .with_context(|| format!("AzureWebJobsStorage has no `{name}`"))
        };
        Ok(Self {
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(std::time::Duration::from_secs(30))
                .build()?,
            blob: part("BlobEndpoint")?.parse().context("BlobEndpoint")?,
            queue: part("QueueEndpoint")?.parse().context("QueueEndpoint")?,
            signature: part("SharedAccessSignature")?.to_owned(),
        })
    }

    pub(super) fn blob(&self, method: Method, path: &str, query: &str) -> RequestBuilder {
        self.request(&self.blob, method, path, query)
    }

    pub(super) fn queue(&self, method: Method, path: &str, query: &str) -> RequestBuilder {
        self.request(&self.queue, method, path, query)
    }

    fn request(&self, base: &Url, method: Method, path: &str, query: &str) -> RequestBuilder {
        let mut url = base.clone();
        url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
        url.set_query(Some(&format!("{query}&{}", self.signature)));
        self.http
            .request(method, url)
            .header("x-ms-version", VERSION)
    }
}
