using System.CommandLine;
using System.Net;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Commands;

/// <summary>
/// <c>health</c>: asks the server of a configuration whether it answers, for a container's health check. It reads the same file and
/// variables as the server, so address, prefix and TLS are not stated twice.
/// </summary>
internal static class HealthCommand
{
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(8);

    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        var command = new Command("health", "Ask the running server whether it answers. Ends with 0 if it does, else with 1.")
        {
            file.Argument,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (file.Load(parsed) is not { } configuration)
                return ExitCode.Failed;
            var http = configuration.Options.Http;
            var url = new Uri(LocalServer.UrlOf(http.Listen, http, isTls: http.Tls.IsOn), "v2/");
            var (wrong, lacksCertificate) = await AskAsync(url, http.Listen, http, cancellationToken);
            if (lacksCertificate && http.Debug.Addr is { } addr)
            {
                var debug = ListenAddress.Parse(addr);
                url = new Uri(LocalServer.UrlOf(debug, http, isTls: false), "/debug/health");
                (wrong, _) = await AskAsync(url, debug, http, cancellationToken);
            }
            else if (lacksCertificate)
            {
                await parsed.InvocationConfiguration.Output.WriteLineAsync(
                    $"{url} asks for a certificate of the client, and this command has none. So the server answers, but it does not tell "
                    + "whether a check of section health fails. To learn that as well, set http.debug.addr.");
            }
            if (wrong is null)
                return ExitCode.Ok;
            await parsed.InvocationConfiguration.Error.WriteLineAsync($"error: {url} {wrong}");
            return ExitCode.Failed;
        });
        return command;
    }

    private static async Task<(string? Wrong, bool LacksCertificate)> AskAsync(
        Uri url, ListenAddress address, HttpOptions http, CancellationToken cancellationToken)
    {
        var lacksCertificate = false;
        // The certificate names the server's public name, and this request goes to this machine by another name. It only has to find out
        // whether the server answers.
        using var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            ConnectCallback = HappyEyeballs.ConnectAsync,
        };
#pragma warning disable CA5359
        handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        // Asked without the server's certificate before the handshake, and with it only if the server asks for one of the client.
        handler.SslOptions.LocalCertificateSelectionCallback = (_, _, _, server, _) =>
        {
            lacksCertificate |= server is not null;
            return null!;
        };
        handler.ConnectTo(address);
        using var client = new HttpClient(handler) { Timeout = MaxWait };
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, url);
            request.Headers.Host = LocalServer.HostOf(http);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            // A server that asks for a login answers.
            var answers = response.IsSuccessStatusCode || response.StatusCode == HttpStatusCode.Unauthorized;
            return (answers ? null : $"answered {(int)response.StatusCode}", false);
        }
        // With TLS 1.3 the refusal comes after the client's handshake has ended, as a connection that breaks.
        catch (HttpRequestException) when (lacksCertificate)
        {
            return (null, true);
        }
        // A server without an obtained certificate yet refuses the handshake, and so it answers.
        catch (HttpRequestException refused)
            when (refused.HttpRequestError is HttpRequestError.SecureConnectionError && http.Tls.LetsEncrypt.IsUsed)
        {
            return (null, false);
        }
        catch (HttpRequestException failure)
        {
            return ($"cannot be reached: {failure.Message}", false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return ($"did not answer within {MaxWait.TotalSeconds} s", false);
        }
    }
}
