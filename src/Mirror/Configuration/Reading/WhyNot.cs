namespace Mirror.Configuration.Reading;

/// <summary>Why known keys are not acted on, as the warning about each says it. docs/configuration.md has the same reasons.</summary>
internal static class WhyNot
{
    public const string Middleware = "there are no such middlewares here";
    public const string PlainHttp2 = "HTTP/2 needs http.tls here; without it clients speak HTTP/1.1";
    public const string RedisReplicas = "the master of Redis is asked, since a copy can be older than what other replicas have written";
    public const string UserAgent = "requests to the store have the name of the library that sends them";
    public const string SwiftRoot =
        "registry:2 never read it, and wrote to the top of the container; storage.swift.prefix is the key that it read";
    public const string StoreLog = "the log says which call of the store failed, and why";
}
