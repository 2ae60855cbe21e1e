//! Real servers for many names, under an authority of the lab's own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::lab::SERVERS;
use crate::netns::Host;
use crate::process::Background;
use crate::scratch::Scratch;

/// The file beside the authority's with the SHA-256 of the servers' public
/// key, as Chromium wants it.
pub(crate) const KEY_HASH: &str = "server.spki";

/// HTTP on 80, HTTPS on 443 and 8443, HTTP/3 on 443, on every address.
pub struct Servers {
    authority: PathBuf,
    _servers: Background,
    _files: Scratch,
}

impl Servers {
    /// Starts the servers on `host` with a certificate for `names`.
    pub fn start(host: &Host, names: &[&str]) -> Result<Self> {
        let files = Scratch::new()?;
        certificate(&files, names)?;
        let path = |name: &str| files.path().join(name);
        let mut servers = Background::start(
            host.command(crate::python())
                .arg(crate::script("servers.py"))
                .args([path("server.pem"), path("server.key")])
                .args(SERVERS.map(|address| address.to_string())),
            &path("servers.log"),
        )?;
        servers
            .wait_until(Duration::from_secs(20), |log| log.contains("ready"))
            .context("the servers do not start")?;
        Ok(Self {
            authority: path("ca.pem"),
            _servers: servers,
            _files: files,
        })
    }

    /// The authority that clients have to trust.
    pub fn authority(&self) -> &PathBuf {
        &self.authority
    }
}

fn certificate(files: &Scratch, names: &[&str]) -> Result<()> {
    let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    files.write(
        "extensions",
        &format!(
            "subjectAltName={}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n",
            names.join(",")
        ),
    )?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for line in [
        format!("req -x509 {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=lab"),
        format!("req -new {key} -keyout server.key -out server.csr -subj /CN=server"),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
         -days 30 -extfile extensions -out server.pem"
            .to_owned(),
    ] {
        let output = Command::new("openssl")
            .current_dir(files.path())
            .args(line.split_whitespace())
            .output()
            .context("cannot start openssl")?;
        ensure!(
            output.status.success(),
            "openssl {line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let hash = "openssl x509 -in server.pem -pubkey -noout | openssl pkey -pubin -outform der \
                | openssl dgst -sha256 -binary | openssl base64";
    let output = Command::new("sh")
        .current_dir(files.path())
        .args(["-c", hash])
        .output()?;
    files.write(KEY_HASH, &String::from_utf8_lossy(&output.stdout))?;
    Ok(())
}
