//! Whatever answers at the address: what is no Kafka, what is silent, TLS where it is not expected.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::time::{Duration, Instant};

use oncestream_broker::{Action, Api, Broker, Fault};
use oncestream_inspect::transactions::Search;
use oncestream_inspect::{Client, ClientConfig, InspectError, Scope, producers, transactions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A peer that does this with each connection, and its address.
async fn peer<F: Future<Output = ()> + Send + 'static>(
    with: impl Fn(TcpStream) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(with(stream));
        }
    });
    address
}

/// A peer that reads one request and sends these bytes.
async fn answers(bytes: &'static [u8]) -> String {
    peer(move |mut stream| async move {
        let _ = stream.read(&mut [0; 1000]).await;
        let _ = stream.write_all(bytes).await;
        // Until the client is satisfied.
        let _ = stream.read(&mut [0; 1000]).await;
    })
    .await
}

fn config(broker: &Broker) -> ClientConfig {
    ClientConfig::new(broker.bootstrap_servers()).unwrap()
}

async fn error_of(pairs: &[(&str, &str)]) -> InspectError {
    let config = ClientConfig::from_properties(pairs.iter().copied()).unwrap();
    Client::connect(config).await.unwrap_err()
}

#[tokio::test]
async fn what_is_no_kafka_is_told_with_its_address() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        // A TLS alert.
        &[0x15, 3, 3, 0, 2, 2, 70],
        // Too short for any answer; an answer to another question.
        &[0, 0, 0, 1, 0],
        &[0, 0, 0, 10, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0],
        // Two thousand million versions in ten bytes; a negative number; a cut number.
        &[0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff],
        &[0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xfe],
        &[0, 0, 0, 6, 0, 0, 0, 1, 0, 0],
    ] {
        let address = answers(answer).await;
        let error = error_of(&[("bootstrap.servers", &address)]).await;
        assert!(matches!(error, InspectError::NotKafka { .. }), "{answer:?}: {error}");
        let text = error.to_string();
        assert!(text.contains(&address) && text.contains("ApiVersions"), "{text}");
    }
}

#[tokio::test]
async fn a_peer_that_is_silent_is_left_in_time() {
    let address = peer(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let begun = Instant::now();
    let error = error_of(&[("bootstrap.servers", &address), ("request.timeout.ms", "300")]).await;
    assert!(matches!(error, InspectError::TimedOut { .. }), "{error}");
    assert!(error.to_string().contains(&address), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_connection_that_ends_is_told_with_what_was_asked() {
    let address = peer(|stream| async move { drop(stream) }).await;
    let error = error_of(&[("bootstrap.servers", &address)]).await;
    assert!(matches!(error, InspectError::Closed { .. }), "{error}");
    assert!(error.to_string().contains("ApiVersions"), "{error}");
}

#[tokio::test]
async fn the_next_broker_is_asked_where_the_first_is_down() {
    let broker = Broker::builder().start().await.unwrap();
    broker.create_topic("lines", 1).unwrap();
    let servers = format!("127.0.0.1:1,{}", broker.bootstrap_servers());
    let mut client = Client::connect(ClientConfig::new(&servers).unwrap()).await.unwrap();
    let report = producers::describe(&mut client, &Scope::topic("lines")).await.unwrap();
    assert_eq!(report.partitions.len(), 1);
}

#[tokio::test]
async fn to_ask_for_a_topic_does_not_make_it() {
    let builder = Broker::builder().setting("auto.create.topics.enable", "true").unwrap();
    let broker = builder.start().await.unwrap();
    let mut client = Client::connect(config(&broker)).await.unwrap();
    for _ in 0..2 {
        let error = producers::describe(&mut client, &Scope::topic("typo")).await.unwrap_err();
        assert!(matches!(error, InspectError::NoSuchTopic { .. }), "{error}");
    }
    assert_eq!(broker.view().partitions, []);
}

#[tokio::test]
async fn each_leader_is_asked_for_its_own_partitions() {
    let broker = Broker::builder().nodes(3).start().await.unwrap();
    broker.create_topic("lines", 6).unwrap();
    let mut client = Client::connect(config(&broker)).await.unwrap();
    let report = producers::describe(&mut client, &Scope::all()).await.unwrap();
    let asked: Vec<(i32, i32)> =
        report.partitions.iter().map(|found| (found.partition, found.leader)).collect();
    let view = broker.view();
    let leaders: Vec<(i32, i32)> =
        view.partitions.iter().map(|found| (found.partition, found.leader)).collect();
    assert_eq!(asked, leaders);
    assert!(leaders.iter().any(|(_, leader)| *leader != leaders[0].1), "{leaders:?}");
}

#[tokio::test]
async fn a_question_that_fails_in_passing_is_asked_again() {
    let broker = Broker::builder().nodes(3).start().await.unwrap();
    broker.create_topic("lines", 3).unwrap();
    for (api, actions) in [
        (Api::Metadata, &[Action::Disconnect, Action::LoseAnswer][..]),
        // Not the leader; not the coordinator, or not yet.
        (Api::DescribeProducers, &[Action::Disconnect, Action::LoseAnswer, Action::Error(6)]),
        (Api::ListTransactions, &[Action::Disconnect, Action::Error(14), Action::Error(15)]),
    ] {
        for action in actions {
            broker.faults().add(Fault::on(api).times(1).then(*action));
            let mut client = Client::connect(config(&broker)).await.unwrap();
            let report = transactions::describe(&mut client, &Search::default()).await.unwrap();
            assert_eq!(report.partitions_searched, 3, "{api} {action:?}: {:?}", report.missing);
            assert!(report.missing.is_empty(), "{api} {action:?}: {:?}", report.missing);
        }
    }
}

#[tokio::test]
async fn what_fails_for_good_is_told_beside_what_does_not() {
    let broker = Broker::builder().start().await.unwrap();
    broker.create_topic("lines", 2).unwrap();
    broker.faults().add(Fault::on(Api::DescribeProducers).always().then(Action::Error(6)));
    let pairs = [("bootstrap.servers", broker.bootstrap_servers()), ("request.timeout.ms", "500")];
    let config = ClientConfig::from_properties(pairs).unwrap();
    let mut client = Client::connect(config).await.unwrap();
    let report = producers::describe(&mut client, &Scope::topic("lines")).await.unwrap();
    assert!(report.partitions.is_empty());
    let told: Vec<String> = report.missing.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["lines-0: NotLeaderOrFollower", "lines-1: NotLeaderOrFollower"]);
    // A topic that cannot be told of yet.
    broker.faults().clear();
    let fault = broker.faults().add(Fault::on(Api::Metadata).always().then(Action::Error(5)));
    let report = producers::describe(&mut client, &Scope::topic("lines")).await.unwrap();
    assert_eq!((report.partitions.len(), report.missing.len()), (0, 1), "{:?}", report.missing);
    // The same client goes on.
    broker.faults().remove(fault);
    let report = producers::describe(&mut client, &Scope::topic("lines")).await.unwrap();
    assert_eq!((report.partitions.len(), report.missing.len()), (2, 0));
}

#[cfg(feature = "tls")]
mod tls {
    use std::path::Path;
    use std::sync::Arc;

    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;

    /// The certificate signs itself, for `localhost` and until 2126: `openssl req -x509 -newkey ec -pkeyopt
    /// ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=oncestream test broker" -addext
    /// subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE`. It guards nothing.
    fn file(name: &str) -> String {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name).display().to_string()
    }

    /// Takes TLS for `localhost`, and hands on what is in it to a broker.
    async fn in_front_of(broker: &str) -> u16 {
        let certificate = CertificateDer::from_pem_file(file("broker-cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(file("broker-key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let broker = broker.to_owned();
        let address = peer(move |stream| {
            let (acceptor, broker) = (acceptor.clone(), broker.clone());
            async move {
                let Ok(mut inside) = acceptor.accept(stream).await else { return };
                let mut outside = TcpStream::connect(broker).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
            }
        })
        .await;
        address.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    #[tokio::test]
    async fn tls_is_agreed_on_with_a_broker_whose_authority_is_given_and_with_no_other() {
        let broker = Broker::builder().start().await.unwrap();
        let port = in_front_of(broker.bootstrap_servers()).await;
        let (by_name, by_number) = (format!("localhost:{port}"), format!("127.0.0.1:{port}"));
        let authority = file("broker-cert.pem");
        let tls = |server| [("bootstrap.servers", server), ("security.protocol", "SSL")];
        let given = ("ssl.ca.location", authority.as_str());

        let pairs = tls(&by_name).into_iter().chain([given]);
        Client::connect(ClientConfig::from_properties(pairs).unwrap()).await.unwrap();
        // The certificate is for another name; the authority is another; there is no TLS.
        for pairs in [
            [&tls(&by_number)[..], &[given]].concat(),
            tls(&by_name).to_vec(),
            [&tls(broker.bootstrap_servers())[..], &[given]].concat(),
        ] {
            let error = error_of(&pairs).await;
            assert!(matches!(error, InspectError::Tls { .. }), "{pairs:?}: {error}");
        }
        let error = error_of(&[("bootstrap.servers", &by_number)]).await;
        assert!(error.to_string().contains("security.protocol"), "{error}");
    }

    #[tokio::test]
    async fn a_file_without_certificates_is_refused_by_its_name() {
        for name in ["00000000000000000007.snapshot", "not there", "broker-key.pem"] {
            let file = file(name);
            let pairs = [
                ("bootstrap.servers", "a:1"),
                ("security.protocol", "SSL"),
                ("ssl.ca.location", &file),
            ];
            let error = ClientConfig::from_properties(pairs).unwrap_err().to_string();
            assert!(error.contains(&file), "{error}");
        }
    }
}
