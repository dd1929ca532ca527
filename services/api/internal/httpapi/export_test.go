package httpapi

// RequestTimeout is how long a request may take in which NATS has a word.
const RequestTimeout = requestTimeout
