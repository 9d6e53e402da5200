module libprefork.invalid/bindings/go/bench/upgrades

go 1.21

require (
	github.com/cloudflare/tableflip v1.2.3
	libprefork.invalid/bindings/go v0.2.0
)

replace libprefork.invalid/bindings/go => ../..
