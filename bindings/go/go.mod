module libprefork.invalid/bindings/go

go 1.21
