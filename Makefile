.PHONY: run test lint

# Everything on this machine, with no cloud: daily maintenance is run once, and what to open is told.
run:
	cargo build --locked
	target/debug/poolkeeper local --maintain daily

# Everything that must hold, with only Rust, Node and Python on the machine.
test:
	cargo test --locked
	cargo check --locked --no-default-features

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
