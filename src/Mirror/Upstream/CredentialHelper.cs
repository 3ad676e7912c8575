using System.ComponentModel;
using System.Text.Json;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// Runs a Docker credential helper (<c>proxy.exec</c>) and keeps its answer for the configured lifetime. As with <c>registry:3</c>, an
/// unset lifetime keeps the answer for ever. Zero runs the helper for each request; requests that come while it runs share its answer.
/// </summary>
public sealed partial class CredentialHelper(
    CredentialHelperOptions exec, Uri registry, TimeProvider time, ILogger? log = null)
{
    /// <summary>What the operator can do if upstream refuses an answer that is kept for ever.</summary>
    internal const string LifetimeAdvice =
        "if the passwords of its credential helper expire, set proxy.exec.lifetime, so that the mirror asks the helper again";

    private static readonly TimeSpan HelperTimeout = TimeSpan.FromSeconds(30);

    // registry:3 names the host, and for Docker Hub that of its token service. docker has its own name for Docker Hub. Some helpers know
    // only whole addresses.
    private readonly string[] _names = DockerHub.Is(registry)
        ? [registry.Authority, "auth.docker.io", "https://index.docker.io/v1/", registry.ToString()]
        : [registry.Authority, registry.ToString()];

    private readonly SingleFlight<string, Answer> _runs = new();
    private Answer? _last;
    private string? _failure;

    /// <summary>The credential to use now.</summary>
    /// <exception cref="UpstreamUnavailableException">The helper failed.</exception>
    public async ValueTask<Credential?> GetAsync(CancellationToken cancellationToken)
    {
        if (_last is { } last && (exec.Lifetime is not { } lifetime || time.GetElapsedTime(last.At) < lifetime))
            return last.Credential;
        return (await _runs.JoinOrStart(exec.Command, RunAsync, cancellationToken)).Result.Credential;
    }

    private async Task<Answer> RunAsync(CancellationToken cancellationToken)
    {
        var (why, errors) = ("printed no account", "");
        Credential? empty = null;
        foreach (var name in _names)
        {
            using var run = new HelperRun(exec.Command);
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                limit.CancelAfter(HelperTimeout);
                var (code, output) = await run.AskAsync(name, limit.Token);
                if (code != 0)
                {
                    (why, errors) = ($"ended with exit code {code}", run.Errors);
                    continue;
                }
                var credential = Parse(output);
                if (credential.Secret.Length > 0)
                    return Keep(credential);
                // Some helpers say in this way that they do not know the name.
                empty = credential;
            }
            catch (Exception failure) when (
                failure is FormatException or IOException
                || failure is OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                // The helper's output may hold the secret: keep it out of the message.
                (why, errors) = (failure switch
                {
                    OperationCanceledException => $"gave no answer within {HelperTimeout.TotalSeconds} seconds",
                    FormatException => "printed something else than JSON with Username and Secret",
                    _ => failure.Message,
                }, run.Errors);
                // Another name would need the same time.
                if (failure is OperationCanceledException)
                    break;
            }
            catch (Exception failure) when (failure is Win32Exception or InvalidOperationException)
            {
                why = HelperCommand.WhyNot(exec.Command) is { } unusable ? $"cannot be run: the command {unusable}"
                    : $"cannot be run: {failure.GetBaseException().Message}";
                break;
            }
        }
        if (empty is not null)
            return Keep(empty);
        // Each request runs the helper again. One line for each reason is enough.
        if (_failure != why && log is not null)
            LogFailed(log, exec.Command, registry.Authority, why, errors);
        _failure = why;
        throw new UpstreamUnavailableException($"The credential helper of proxy.exec {why}.");
    }

    private Answer Keep(Credential credential)
    {
        _failure = null;
        return _last = new Answer(credential, time.GetTimestamp());
    }

    /// <exception cref="FormatException">The output is not what the protocol asks for.</exception>
    internal static Credential Parse(string output)
    {
        try
        {
            using var json = JsonDocument.Parse(output);
            return new Credential(Text(json, "Username"), Text(json, "Secret"));
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            throw new FormatException("It is no JSON with Username and Secret.");
        }
    }

    // Helpers are read by clients in Go, which take a name in any case.
    private static string Text(JsonDocument json, string property) =>
        (json.RootElement.TryGetProperty(property, out var text) ? text
            : json.RootElement.EnumerateObject().First(each => each.Name.Equals(property, StringComparison.OrdinalIgnoreCase)).Value)
        .GetString() ?? "";

    [LoggerMessage(Level = LogLevel.Error, Message =
        "the credential helper {Command} of proxy.exec for {Upstream} {Reason}; what it wrote to its standard error: \"{Errors}\"")]
    private static partial void LogFailed(ILogger log, string command, string upstream, string reason, string errors);

    private sealed record Answer(Credential Credential, long At);
}
