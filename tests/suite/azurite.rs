//! Azurite, the independent judge of what we send to storage: started and stopped per test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::Mac as _;
use poolkeeper::app::{App, Clock};
use poolkeeper::config::{Config, Identity};
use serde_json::json;

use crate::processes::until;
use crate::world::PROJECT;

/// Azurite's account and key are the same everywhere, and published.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    SignatureOverHttp,
    TokenOverHttps,
}

pub(crate) struct Azurite {
    child: Child,
    security: Security,
    blob: u16,
    queue: u16,
    authority: Option<reqwest::Certificate>,
    _folder: tempfile::TempDir,
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Azurite {
    pub(crate) async fn start(security: Security) -> Self {
        let script =
            Path::new(PROJECT).join("tests/azurite/node_modules/azurite/dist/src/azurite.js");
        assert!(
            script.is_file(),
            "Azurite is not installed: `make test` does it, or `npm ci --prefix tests/azurite`"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let (blob, queue, table) = (port(), port(), port());
        let mut command = Command::new("node");
        command
            .arg(script)
            .args(["--silent", "--disableTelemetry", "--inMemoryPersistence"])
            .args(["--blobPort", &blob.to_string()])
            .args(["--queuePort", &queue.to_string()])
            .args(["--tablePort", &table.to_string()])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let authority = (security == Security::TokenOverHttps).then(|| {
            let (authority, certificate, key) = certificates(folder.path());
            let authority = reqwest::Certificate::from_pem(authority.as_bytes()).expect("PEM");
            command.args(["--oauth", "basic"]);
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
            authority
        });
        let child = command.spawn().expect("node");
        let azurite = Self {
            child,
            security,
            blob,
            queue,
            authority,
            _folder: folder,
        };
        for port in [blob, queue] {
            until("Azurite listens", Duration::from_secs(30), || async {
                let connected = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
                connected.ok()
            })
            .await;
        }
        azurite
    }

    fn endpoint(&self, port: u16) -> String {
        let scheme = match self.security {
            Security::SignatureOverHttp => "http",
            Security::TokenOverHttps => "https",
        };
        format!("{scheme}://127.0.0.1:{port}/{ACCOUNT}")
    }

    /// App settings that point at this storage.
    pub(crate) fn settings(&self) -> BTreeMap<String, String> {
        let (blob, queue) = (self.endpoint(self.blob), self.endpoint(self.queue));
        let signature = match self.security {
            Security::SignatureOverHttp => signature(),
            Security::TokenOverHttps => String::new(),
        };
        let signed = |url: &str| {
            if signature.is_empty() {
                url.to_owned()
            } else {
                format!("{url}?{signature}")
            }
        };
        [
            (
                "AzureWebJobsStorage",
                format!(
                    "BlobEndpoint={blob};QueueEndpoint={queue};SharedAccessSignature={signature}"
                ),
            ),
            ("POOLKEEPER_BLOB_ENDPOINT", signed(&blob)),
            ("POOLKEEPER_QUEUE_ENDPOINT", signed(&queue)),
            ("POOLKEEPER_QUEUE", "poolkeeper-work".to_owned()),
            ("POOLKEEPER_LOG", "text".to_owned()),
            ("FUNCTIONS_APP_ROOT_PATH", PROJECT.to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    pub(crate) fn app(&self) -> App {
        let values = self.settings();
        let mut config = Config::read(|name| values.get(name).cloned()).expect("settings");
        if let Some(authority) = &self.authority {
            let http = reqwest::Client::builder()
                .tls_certs_only([authority.clone()])
                .build()
                .expect("a client");
            config.store.http = Some(http);
            config.store.identity = Identity::Given(Arc::new(UnsignedToken));
        }
        App::new(config, Clock::System)
    }
}

fn port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// An account signature over blobs and queues.
fn signature() -> String {
    let (version, permissions, expiry) = ("2020-10-02", "rwdlacup", "2099-01-01T00:00:00Z");
    let text = format!("{ACCOUNT}\n{permissions}\nbq\nsco\n\n{expiry}\n\nhttps,http\n{version}\n");
    let key = BASE64_STANDARD.decode(KEY).expect("base64");
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).expect("a key");
    mac.update(text.as_bytes());
    let sig = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("sv", version)
        .append_pair("ss", "bq")
        .append_pair("srt", "sco")
        .append_pair("sp", permissions)
        .append_pair("se", expiry)
        .append_pair("spr", "https,http")
        .append_pair("sig", &sig)
        .finish()
}

/// An authority of this run alone as PEM, and what it signed for loopback.
pub(crate) fn certificates(folder: &Path) -> (String, PathBuf, PathBuf) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
        .expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])
        .expect("parameters")
        .signed_by(&key, &authority)
        .expect("a certificate");
    let (certificate, private) = (folder.join("leaf.pem"), folder.join("leaf.key"));
    std::fs::write(&certificate, leaf.pem()).expect("written");
    std::fs::write(&private, key.serialize_pem()).expect("written");
    (authority.pem(), certificate, private)
}

/// Azurite reads the claims of a token and does not ask who signed it.
#[derive(Debug)]
struct UnsignedToken;

#[async_trait::async_trait]
impl TokenCredential for UnsignedToken {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!(
            "{}.{}.{}",
            part(json!({ "alg": "none", "typ": "JWT" })),
            part(json!({
                "aud": "https://storage.azure.com",
                "iss": "https://sts.windows.net/11111111-2222-4333-8444-555555555555/",
                "iat": now - 60, "nbf": now - 60, "exp": now + 3600,
            })),
            BASE64_URL_SAFE_NO_PAD.encode("none"),
        );
        let expiry = OffsetDateTime::now_utc() + Duration::from_secs(3600);
        Ok(AccessToken::new(token, expiry))
    }
}
