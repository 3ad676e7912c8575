namespace Mirror.Tests.Peers;

/// <summary>
/// The container image of deploy/Dockerfile, built by a real Docker Engine. The images that it is built from are stood in for by this
/// machine's own .NET and the few programs that a shell script needs, since no registry can be reached.
/// </summary>
internal static class MirrorImage
{
    public const string Name = "mirror";

    // Copies programs with the libraries they are linked to, then the runtime with those that its own libraries are linked to.
    private const string MakeRoot = """
        set -e
        root=$1
        libraries() { ldd "$1" 2>/dev/null | grep -oE '/[^ ]+' || true; }
        copy() { mkdir -p "$root$(dirname "$1")"; [ -e "$root$1" ] || cp -L "$1" "$root$1"; }
        with() { copy "$1"; libraries "$1" | while read -r library; do copy "$library"; done; }
        mkdir -p "$root/tmp" "$root/etc" "$root/usr/bin" "$root/usr/local/bin" "$root/var/lib"
        ln -s usr/bin "$root/bin"
        for program in sh ls cat cp ln mkdir rm id chown; do with "$(command -v $program)"; done
        dotnet=$(dirname "$(readlink -f "$(command -v dotnet)")")
        mkdir -p "$root$dotnet"
        cp -r "$dotnet/dotnet" "$dotnet/host" "$dotnet/shared" "$root$dotnet/"
        ln -s "$dotnet/dotnet" "$root/usr/bin/dotnet"
        libraries "$dotnet/dotnet" | while read -r library; do copy "$library"; done
        for shared in $(find "$dotnet/shared/Microsoft.NETCore.App" -name '*.so'); do
            libraries "$shared" | while read -r library; do copy "$library"; done
        done
        for library in libssl.so.3 libcrypto.so.3; do
            with "$(find /usr/lib /lib -name "$library" | head -1)"
        done
        echo 'root:x:0:0:root:/:/bin/sh' > "$root/etc/passwd"
        """;

    /// <summary>Builds the image, with the program under test in it.</summary>
    public static async Task BuildAsync(Dockerd engine, TempFolder folder)
    {
        await PeerProcess.RunAsync("sh", ["-c", MakeRoot, "make-root", folder.Folder("root")]);
        await PeerProcess.RunAsync("tar", ["-C", folder["root"], "-cf", folder["root.tar"], "."]);
        await engine.RunAsync("import", folder["root.tar"], "stand-in-runtime");

        // Where the SDK publishes, its stand-in copies what was built here.
        await PeerProcess.RunAsync("cp", ["-r", Path.GetDirectoryName(MirrorProcess.Program)!, folder.Folder("sdk") + "/program"]);
        folder.Write("sdk/dotnet", "#!/bin/sh\nexec cp -r /program /app\n");
        folder.Write("sdk/Dockerfile", """
            FROM stand-in-runtime
            COPY program /program
            RUN rm /usr/bin/dotnet
            COPY dotnet /usr/bin/dotnet
            """);
        await PeerProcess.RunAsync("chmod", ["755", folder["sdk/dotnet"]]);
        await engine.BuildAsync(folder["sdk"], "Dockerfile", "stand-in-sdk");
        await engine.BuildAsync(
            MirrorProcess.Repository, "deploy/Dockerfile", Name,
            "--build-arg", "SDK=stand-in-sdk", "--build-arg", "RUNTIME=stand-in-runtime");
    }
}
