.PHONY: run test package lint

# Everything on this machine, with no cloud: daily maintenance is run once, and what to open is told.
run:
	cargo build --locked
	target/debug/poolkeeper local --maintain daily

# Everything that must hold, with only Rust, Node and Python on the machine.
test: tests/azurite/node_modules/.package-lock.json tests/mail/node_modules/.package-lock.json tests/browser/node_modules/.package-lock.json
	cargo test --locked
	cargo check --locked --no-default-features

# Azurite judges what is sent to storage. 3.35.0 is the newest for Node 20.
tests/azurite/node_modules/.package-lock.json: tests/azurite/package-lock.json
	npm ci --prefix tests/azurite --no-audit --no-fund --ignore-scripts

# A mail server that others wrote judges the mail that is sent.
tests/mail/node_modules/.package-lock.json: tests/mail/package-lock.json
	npm ci --prefix tests/mail --no-audit --no-fund --ignore-scripts

# A real browser opens the pages; it lies inside its package. These versions run on Node 20.
tests/browser/node_modules/.package-lock.json: tests/browser/package-lock.json
	npm ci --prefix tests/browser --no-audit --no-fund --ignore-scripts

# What goes to Azure, as target/poolkeeper.zip: the same for the same content.
package:
	cargo build --locked --profile cloud --no-default-features
	cargo build --locked
	target/debug/poolkeeper package

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
