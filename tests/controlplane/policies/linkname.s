// An empty file: with it the compiler accepts functions without a body, which linkname in compile.go declares.
