using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mirror.Hosting;

/// <summary>
/// A TLS handshake of the server with itself, in memory. OpenSSL refuses some certificates only when a handshake uses them, such as those
/// that are signed with SHA-1. No client could connect, and each would get an alert that says nothing of the certificate.
/// </summary>
internal static class HandshakeTrial
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    // So that a busy thread pool cannot make the trial slow.
    private static readonly PipeOptions InThisThread = new(
        readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline, useSynchronizationContext: false);

    /// <summary>Returns also if the trial could not run: that says nothing of the certificate.</summary>
    /// <exception cref="CryptographicException">The server cannot use the certificate.</exception>
    public static void Require(SslStreamCertificateContext certificate)
    {
        if (!OperatingSystem.IsLinux())
            return;
        Pipe toServer = new(InThisThread), toClient = new(InThisThread);
        using var limit = new CancellationTokenSource(Limit);
        using var client = new SslStream(new Duplex(toClient.Reader.AsStream(), toServer.Writer.AsStream()));
        using var server = new SslStream(new Duplex(toServer.Reader.AsStream(), toClient.Writer.AsStream()));
        var shown = new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null,
            // Without it, the framework would ask the network for the certificates of issuers.
            CertificateChainPolicy = new() { DisableCertificateDownloads = true, RevocationMode = X509RevocationMode.NoCheck },
        };
        // If the client fails, it closes its end, so that the server does not wait for it.
        var dialed = client.AuthenticateAsClientAsync(shown, limit.Token).ContinueWith(
            done =>
            {
                if (done.Exception is not null)
                    toServer.Writer.Complete();
            }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            server.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificateContext = certificate }, limit.Token)
                .GetAwaiter().GetResult();
        }
        catch (AuthenticationException failure)
        {
            throw new CryptographicException(
                $"no client could connect ({failure.GetBaseException().Message}); use a certificate that is signed with SHA-256 or better, "
                + "with a key of EC, or of RSA with at least 2048 bits", failure);
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException)
        {
        }
        finally
        {
            toClient.Writer.Complete();
            dialed.GetAwaiter().GetResult();
        }
    }

    /// <summary>One end of a connection in memory.</summary>
    private sealed class Duplex(Stream input, Stream output) : Stream
    {
        public override bool CanRead => true;
        public override bool CanWrite => true;
        public override bool CanSeek => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count) => input.Read(buffer, offset, count);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            input.ReadAsync(buffer, cancellationToken);

        public override void Write(byte[] buffer, int offset, int count) => output.Write(buffer, offset, count);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            output.WriteAsync(buffer, cancellationToken);

        public override void Flush() => output.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) => output.FlushAsync(cancellationToken);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
