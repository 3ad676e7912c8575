using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// Runs a Docker credential helper (<c>proxy.exec</c>) and keeps its answer for the configured lifetime. As with <c>registry:3</c>, an
/// unset lifetime keeps the answer for ever. Zero runs the helper for each request; requests that come while it runs share its answer.
/// </summary>
public sealed class CredentialHelper(CredentialHelperOptions exec, Uri registry, TimeProvider time)
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
        var why = "printed no account";
        Credential? empty = null;
        foreach (var name in _names)
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                limit.CancelAfter(HelperTimeout);
                var (code, output) = await AskAsync(name, limit.Token);
                if (code != 0)
                {
                    why = $"ended with exit code {code}";
                    continue;
                }
                var credential = Parse(output);
                if (credential.Secret.Length > 0)
                    return _last = new Answer(credential, time.GetTimestamp());
                // Some helpers say in this way that they do not know the name.
                empty = credential;
            }
            // The helper's output may hold the secret: keep it out of the message.
            catch (Exception failure) when (
                failure is FormatException or InvalidOperationException or Win32Exception or IOException
                || failure is OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                why = $"failed: {failure.GetType().Name}";
            }
        return empty is null ? throw new UpstreamUnavailableException($"The credential helper of proxy.exec {why}.")
            : _last = new Answer(empty, time.GetTimestamp());
    }

    /// <summary>Asks for the account at a server, by the protocol of credential helpers: "COMMAND get", the server's name without a line
    /// break on standard input, JSON on standard output.</summary>
    private async Task<(int Code, string Output)> AskAsync(string name, CancellationToken cancellationToken)
    {
        using var helper = Process.Start(new ProcessStartInfo(exec.Command, ["get"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        try
        {
            await WriteAsync(helper.StandardInput, name, cancellationToken);
            var errors = ReadAsync(helper.StandardError, cancellationToken);
            var output = await ReadAsync(helper.StandardOutput, cancellationToken);
            await errors;
            await helper.WaitForExitAsync(cancellationToken);
            return (helper.ExitCode, output);
        }
        finally
        {
            if (!helper.HasExited)
                helper.Kill(entireProcessTree: true);
        }
    }

    // A helper that has one account only may end without having read the name.
    private static async Task WriteAsync(StreamWriter to, string name, CancellationToken cancellationToken)
    {
        try
        {
            await to.WriteAsync(name.AsMemory(), cancellationToken);
            to.Close();
        }
        catch (IOException)
        {
            // Its output and its exit code say the rest.
        }
    }

    private static async Task<string> ReadAsync(StreamReader from, CancellationToken cancellationToken)
    {
        const int max = 64 * 1024;
        var buffer = new char[max];
        var read = await from.ReadBlockAsync(buffer, cancellationToken);
        return read < max ? new(buffer, 0, read) : throw new IOException("too much output");
    }

    /// <exception cref="FormatException">The output is not what the protocol asks for.</exception>
    internal static Credential Parse(string output)
    {
        try
        {
            using var json = JsonDocument.Parse(output);
            return new Credential(Text(json, "Username"), Text(json, "Secret"));
        }
        catch (Exception malformed) when (malformed is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new FormatException("It is no JSON with Username and Secret.");
        }
    }

    private static string Text(JsonDocument json, string property) => json.RootElement.GetProperty(property).GetString() ?? "";

    private sealed record Answer(Credential Credential, long At);
}
