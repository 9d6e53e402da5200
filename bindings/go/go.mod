module libprefork/bindings/go

go 1.21
