//! What `hub up` tells a newcomer.

use std::net::SocketAddr;

use mesh::Faults;

use crate::seed::DEMO_PASSWORD;

/// Prints where the hub is and what to try first.
pub fn print(address: SocketAddr, demo: Demo) {
    let base = format!("http://{address}");
    println!(
        "\nHoliday Peak Hub is serving.\n\n  \
         shop API     {base}/api\n  \
         reference    {base}/docs\n  \
         gRPC         {address} (reflection on)\n  \
         health       {base}/health/ready\n  \
         mailbox      {base}/dev/mailbox"
    );
    if matches!(demo, Demo::Present) {
        println!(
            "\nDemo users, password {DEMO_PASSWORD}\n  \
             customer@hub.test   staff@hub.test   admin@hub.test"
        );
    }
    println!(
        "\nThree things to try\n  \
         curl '{base}/api/products/search?q=snwboard'\n  \
         curl -X POST {base}/api/auth/login -H 'content-type: application/json' \\\n       \
         -d '{{\"email\":\"customer@hub.test\",\"password\":\"{DEMO_PASSWORD}\"}}'\n  \
         open {base}/docs\n\nCtrl-C stops it.\n"
    );
}

/// Prints what goes wrong on purpose, if anything does.
pub fn print_faults(faults: &Faults) {
    if faults.rules().is_empty() {
        return;
    }
    println!("!!! FAULTS ARE INJECTED ON PURPOSE: this hub is for tests only !!!");
    for rule in faults.rules() {
        println!("!!!   {rule}");
    }
}

/// Whether the shop has the demo users.
#[derive(Clone, Copy)]
pub enum Demo {
    /// It has.
    Present,
    /// It is somebody's own shop.
    Absent,
}
