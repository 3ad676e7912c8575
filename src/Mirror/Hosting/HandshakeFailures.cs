using Mirror.Storage;

namespace Mirror.Hosting;

/// <summary>Learns why a TLS handshake failed. Kestrel tells the reason to nothing but its log, at the level debug.</summary>
internal sealed class HandshakeFailures : ILoggerProvider, ILogger
{
    private const string Category = "Microsoft.AspNetCore.Server.Kestrel.Https.Internal.HttpsConnectionMiddleware";

    private static readonly AsyncLocal<Outcome?> Current = new();

    /// <summary>Makes it hear Kestrel's lines about handshakes, and no others.</summary>
    public static void Hear(ILoggingBuilder logging) => logging.AddProvider(new HandshakeFailures())
        .AddFilter<HandshakeFailures>(null, LogLevel.None)
        .AddFilter<HandshakeFailures>(Category, LogLevel.Debug);

    /// <summary>Notes the outcome of the handshake that the calling method begins after this.</summary>
    public static Outcome Note() => Current.Value = new Outcome();

    /// <summary>Says in words of our own why the client of this handshake is refused. .NET's own say only that it was.</summary>
    public static void Refuse(string why) => Current.Value?.Refusal = why;

    public ILogger CreateLogger(string categoryName) => this;

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        // AuthenticationFailed and AuthenticationTimedOut; the other lines are about certificates and successes.
        if (eventId.Name?.StartsWith("Authentication", StringComparison.Ordinal) == true && Current.Value is { } outcome)
            outcome.Failure = exception?.GetBaseException().Reason ?? formatter(state, exception);
    }

    public void Dispose()
    {
    }

    /// <summary>How a handshake ended.</summary>
    internal sealed class Outcome
    {
        /// <summary>Why the client's certificate was refused; null where it was not.</summary>
        public string? Refusal { get; set; }

        /// <summary>Why it failed; null where it did not.</summary>
        public string? Failure { get; set; }
    }
}
