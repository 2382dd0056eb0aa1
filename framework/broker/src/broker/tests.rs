//! What a node does while it goes down, and while it stands still.

use std::io::ErrorKind;
use std::time::Duration;

use kafka_protocol::messages::{ApiKey, MetadataRequest, RequestKind, ResponseKind};

use crate::Broker;
use crate::client::Client;

const VERSION: i16 = 9;

fn metadata() -> RequestKind {
    RequestKind::Metadata(MetadataRequest::default().with_topics(None))
}

/// A client that was told of no brokers would have none to come back to.
#[test]
fn a_node_that_is_down_answers_nobody_while_its_connections_still_stand() {
    let broker = Broker::builder().start_blocking().unwrap();
    let mut client = Client::connect(&broker);
    let Ok(ResponseKind::Metadata(told)) = client.call(ApiKey::Metadata, VERSION, &metadata())
    else {
        panic!("no answer");
    };
    assert_eq!(told.brokers.len(), 1);

    // The first half of `stop_node`.
    let now = broker.shared.now();
    broker.shared.cluster().take_down(1, now);
    client.patience(Duration::from_millis(300));
    let silence = client.call(ApiKey::Metadata, VERSION, &metadata()).unwrap_err();
    assert!(matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");

    // The second half, and the way back.
    broker.stop_node(1).unwrap();
    client.patience(Duration::from_secs(30));
    assert!(client.receive(ApiKey::Metadata, VERSION).is_err(), "the connection stands");
    broker.start_node(1).unwrap();
    let again = Client::connect(&broker).call(ApiKey::Metadata, VERSION, &metadata());
    assert!(matches!(again, Ok(ResponseKind::Metadata(m)) if m.brokers.len() == 1));
}

#[test]
fn a_node_that_stands_still_takes_what_was_sent_to_it_when_it_goes_on() {
    let broker = Broker::builder().start_blocking().unwrap();
    let mut client = Client::connect(&broker);
    broker.pause_node(1, true).unwrap();
    for _ in 0..2 {
        client.send(ApiKey::Metadata, VERSION, &metadata()).unwrap();
    }
    client.patience(Duration::from_millis(100));
    assert!(client.receive(ApiKey::Metadata, VERSION).is_err());
    assert_eq!(broker.request_count(), 0);

    client.patience(Duration::from_secs(30));
    broker.pause_node(1, false).unwrap();
    for _ in 0..2 {
        client.receive(ApiKey::Metadata, VERSION).unwrap();
    }
    assert!(broker.pause_node(2, true).is_err(), "there is no such node");
}
